import FlyingFox
import FlyingSocks
import FoundationEssentials
import Glibc
import Host

/// A server that behaves like the real one.
public final class SimulatedServer: Sendable {
    private let backend: Backend
    private let server: HTTPServer
    private let log: @Sendable (String) -> Void

    /// The server cannot listen on its address, for the reason of this errno value (bind(2)).
    public struct CannotListen: Error {
        public var address: ListenAddress
        public var code: CInt
    }

    private let listen: ListenAddress

    private init(_ configuration: SimulatorConfiguration, log: @escaping @Sendable (String) -> Void) async throws {
        backend = Backend(configuration, log: log)
        listen = configuration.listen
        server =
            switch listen.family {
            case .ip4:
                HTTPServer(
                    address: try .inet(ip4: listen.host, port: listen.port), timeout: 3600, logger: .disabled)
            case .ip6:
                HTTPServer(
                    address: try .inet6(ip6: listen.host, port: listen.port), timeout: 3600, logger: .disabled)
            }
        self.log = log
    }

    /// Starts a server, calls `body` with it, and stops the server.
    ///
    /// - Parameter log: called with a line for each request.
    /// - Throws: ``CannotListen``, or what `body` throws.
    public static func run<Value: Sendable>(
        _ configuration: SimulatorConfiguration, log: @escaping @Sendable (String) -> Void = { _ in },
        body: @Sendable (RunningServer) async throws -> Value
    ) async throws -> Value {
        let simulator = try await SimulatedServer(configuration, log: log)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await simulator.serve() }
            group.addTask { try await simulator.server.waitUntilListening(timeout: 10) }
            var address = simulator.listen
            do {
                // Whichever comes first: it listens, or it cannot.
                try await group.next()
                guard let port = await simulator.listeningPort else { throw SocketError.disconnected }
                address.port = port
            } catch SocketError.failed(_, let code, _) {
                throw CannotListen(address: address, code: code)
            } catch is SocketError {
                throw CannotListen(address: address, code: EIO)
            }
            let value: Value
            do {
                value = try await body(RunningServer(address: address, backend: simulator.backend))
            } catch {
                await simulator.server.stop()
                group.cancelAll()
                throw error
            }
            await simulator.server.stop()
            group.cancelAll()
            return value
        }
    }

    private var listeningPort: UInt16? {
        get async {
            switch await server.listeningAddress {
            case .ip4(_, let port), .ip6(_, let port): port
            case .unix, nil: nil
            }
        }
    }

    private func serve() async throws {
        await server.appendRoute("*") { [self] request in await respond(to: request) }
        do {
            try await server.run()
        } catch is CancellationError {
            // `stop` was called.
        } catch SocketError.disconnected {
            // `stop` was called.
        }
    }

    // MARK: requests

    private func respond(to request: HTTPRequest) async -> HTTPResponse {
        let faults = await backend.takeFaults(for: request.path)
        for fault in faults {
            if let delay = fault.delay { try? await Task.sleep(for: .seconds(delay)) }
        }
        let body = (try? await request.bodyData) ?? Data()
        var headers: [String: String] = [:]
        for (name, value) in request.headers { headers[name.rawValue.lowercased()] = value }

        var reply: Reply
        if let fault = faults.first(where: { $0.status != nil || $0.redirect != nil || $0.body != nil }) {
            reply = Reply(fault)
        } else if (headers["host"] ?? "").isEmpty, request.version != HTTPVersion("HTTP/1.0") {
            // RFC 9112, section 3.2.
            reply = Reply(status: 400, type: "text/html", bytes: Array("<html>400 Bad Request: no Host</html>".utf8))
        } else if request.path.hasPrefix(ServedFiles.root) {
            reply = await file(request, headers, faults)
        } else {
            reply = await api(request, headers, body)
        }
        for fault in faults { reply.apply(fault) }
        await record(request, headers, body, reply)
        return reply.response(date: Date().addingTimeInterval(await backend.clockOffset))
    }

    private func api(_ request: HTTPRequest, _ headers: [String: String], _ body: Data) async -> Reply {
        guard request.method == .POST, ["/v1/url/upgrade", "/v1/app/report"].contains(request.path) else {
            return Reply(.error(404_003, "handler not found"))
        }
        if let refusal = await backend.refusal(path: request.path, headers: headers, body: body) {
            return Reply(refusal)
        }
        if request.path == "/v1/app/report" { return Reply(await backend.report(body)) }
        let host = headers["host"] ?? ""
        guard let baseURL = await backend.publicURL ?? (host.isEmpty ? nil : "http://\(host)") else {
            return Reply(.error(400_004, "invalid header host"))
        }
        return Reply(await backend.upgrade(body, baseURL: baseURL))
    }

    private func file(_ request: HTTPRequest, _ headers: [String: String], _ faults: [Fault]) async -> Reply {
        let name = String(request.path.dropFirst(ServedFiles.root.count))
        var status = stat()
        guard let file = await backend.open(name), fstat(file.descriptor, &status) == 0 else {
            return Reply(status: 404, type: "text/html", bytes: Array("<html>404 Not Found</html>".utf8))
        }
        let size = Int(status.st_size)
        var tag = "\"\(size)-\(status.st_mtim.tv_sec)-\(status.st_mtim.tv_nsec)\""
        if faults.contains(where: { $0.changingETag == true }) { tag = "\"\(await backend.nextETag())\"" }
        var reply = Reply(
            status: 200, type: "application/octet-stream", body: FileBody(source: .file(file), range: 0..<size))
        reply.headers["ETag"] = tag
        reply.headers["Accept-Ranges"] = "bytes"
        let isCurrent = headers["if-range"].map { $0 == tag } ?? true
        if let field = headers["range"], isCurrent, !faults.contains(where: { $0.noRanges == true }) {
            switch ByteRange(field, size: size) {
            case .whole: break
            case .part(let range):
                reply.status = 206
                reply.headers["Content-Range"] = "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(size)"
                reply.body.range = range
            case .unsatisfiable:
                reply = Reply(status: 416, type: "text/html", bytes: [])
                reply.headers["Content-Range"] = "bytes */\(size)"
            }
        }
        return reply
    }

    // MARK: the record

    private func record(_ request: HTTPRequest, _ headers: [String: String], _ body: Data, _ reply: Reply) async {
        struct Body: Decodable {
            struct Details: Decodable {
                var devKey: String?
                var versionCode: Int?
                var downloadVersionCode: Int?
                var upgradeVersionCode: Int?
                var code: Int?
            }
            var devKey: String?
            var versionCode: Int?
            var eventType: String?
            var eventData: Details?
        }
        let fields = try? JSONDecoder().decode(Body.self, from: body)
        let record = RequestRecord(
            path: request.path, status: reply.status, code: reply.code,
            device: fields?.devKey ?? fields?.eventData?.devKey ?? "",
            versionCode: fields?.versionCode ?? fields?.eventData?.versionCode ?? 0, headers: headers,
            body: String(decoding: body, as: UTF8.self), time: Date())
        await backend.record(record)
        let who = record.device.isEmpty ? "" : " \(record.device)"
        var what = fields?.eventType.map { " \($0)" } ?? (record.versionCode > 0 ? " runs \(record.versionCode)" : "")
        if let details = fields?.eventData, let version = details.upgradeVersionCode ?? details.downloadVersionCode {
            what += " of \(version): \(details.code ?? -1)"
        }
        let range = headers["range"].map { " \($0)" } ?? ""
        log(
            "\(request.method.rawValue) \(request.path)\(range)\(who)\(what) → HTTP \(reply.status)"
                + (reply.code > 0 ? ", code \(reply.code)" : ""))
    }
}

/// A running server.
public struct RunningServer: Sendable {
    /// Where it listens, with the port that the system chose.
    public let address: ListenAddress
    fileprivate let backend: Backend

    public var port: UInt16 { address.port }
    public var url: String { address.url }

    /// What it offers now.
    public var releases: [Release] {
        get async { await backend.releases }
    }

    /// Every request so far.
    public var records: [RequestRecord] {
        get async { await backend.records }
    }

    /// Clears the records and the nonces.
    public func forgetRecords() async { await backend.forgetRecords() }

    /// Changes the configuration: publishes a version, adds a fault, or sets the clock, for example.
    public func change(_ body: @Sendable (inout SimulatorConfiguration) -> Void) async { await backend.change(body) }
}
