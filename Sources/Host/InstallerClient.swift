import FoundationEssentials
import Glibc
public import UpdateCore

/// The agent's side of the installer socket. The client sends one request, with the artifact as an open file, and receives
/// reports.
@MainActor public struct InstallerClient {
    public enum Route: Hashable, Sendable {
        /// The path of a socket on which the service manager starts an installer for each connection.
        case socket(String)
        /// Without a service manager, the client starts the installer itself.
        case program(String, arguments: [String])
    }

    /// Where the service manager listens for the installer (upgradelink-installer.socket).
    public nonisolated static let socketPath = "/run/upgradelinkd-installer.socket"

    private let route: Route
    private let timeLimit: Seconds

    /// - Parameter timeLimit: in seconds; after this time the installer counts as lost.
    public init(_ route: Route, timeLimit: Seconds) {
        self.route = route
        self.timeLimit = timeLimit
    }

    /// Sends a request. Neither closure is called before this returns.
    ///
    /// - Parameters:
    ///   - onReport: called with each report except `finished`, in order.
    ///   - onEnd: called once: with the result, `artifactLost` if the artifact or its signature cannot be read, or `lost` if no result came.
    public func send(
        _ request: InstallRequest, onReport: @escaping @MainActor (InstallReport) -> Void,
        onEnd: @escaping @MainActor (InstallResult) -> Void
    ) {
        let message: [UInt8]
        let artifact: OpenFile?
        do {
            (message, artifact) = try Self.encode(request)
        } catch {
            return MainQueue.soon { onEnd(.artifactLost("its file is lost: \(error)")) }
        }
        let exchange = Exchange(onReport, onEnd)
        switch route {
        case .program(let path, let arguments):
            let program = Program(path, arguments, streams: .socket(passing: artifact), timeLimit: timeLimit)
            ChildProcess.start(program, request: message, onLine: exchange.take) { exchange.end("\($0)") }
        case .socket(let path):
            do throws(SystemError) {
                let socket = try LocalSocket(connectingTo: path).duplicate()
                exchange.connect(socket, message, artifact, timeLimit)
            } catch {
                MainQueue.soon { exchange.end("\(error); see systemctl status upgradelink-installer.socket") }
            }
        }
    }

    /// Starts an installer, sends it a request without an artifact, and waits for its result. The installer waits for another one
    /// that is running, and completes the request even if this process does not wait so long.
    ///
    /// - Parameter seconds: the time limit.
    /// - Throws: `SystemError`, for example ETIMEDOUT.
    public nonisolated static func ask(
        _ message: InstallMessage, startingAt path: String, arguments: [String], within seconds: Double
    ) throws -> InstallResult {
        for case .finished(let result) in try reports(message, path, arguments, within: seconds) { return result }
        return .lost("it ended without a result")
    }

    /// Asks an installer of its own what disk space an installation will need; nil if it does not know.
    public nonisolated static func askSpace(
        startingAt path: String, arguments: [String], within seconds: Double
    ) -> [SpaceNeed]? {
        for case .space(let needs) in (try? reports(.space, path, arguments, within: seconds)) ?? [] { return needs }
        return nil
    }

    private nonisolated static func reports(
        _ message: InstallMessage, _ path: String, _ arguments: [String], within seconds: Double
    ) throws -> [InstallReport] {
        let socket = try start(path, arguments)
        try socket.send(try JSONLine.encode(message))
        return try socket.receiveAll(limit: maximumLineLength, within: seconds).split(separator: 0x0A).compactMap {
            try? JSONLine.decode(InstallReport.self, from: Array($0))
        }
    }

    /// - Returns: this process's end of the installer's socket. The other end is closed here, so that its end can be read.
    private nonisolated static func start(_ path: String, _ arguments: [String]) throws(SystemError) -> LocalSocket {
        let (own, other) = try LocalSocket.pair()
        try Program(path, arguments, streams: .connection(other), timeLimit: nil).startAlone()
        return own
    }

    /// The artifact is passed as an open file, so a later change of its path has no effect.
    private static func encode(_ request: InstallRequest) throws -> (message: [UInt8], artifact: OpenFile?) {
        switch request {
        case .space: return (try JSONLine.encode(InstallMessage.space), nil)
        case .resume(let id): return (try JSONLine.encode(InstallMessage.resume(id)), nil)
        case .reboot(let id): return (try JSONLine.encode(InstallMessage.reboot(id)), nil)
        case .cancel(let id): return (try JSONLine.encode(InstallMessage.cancel(id)), nil)
        case .forgetAttempts(let versionCode):
            return (try JSONLine.encode(InstallMessage.forgetAttempts(versionCode: versionCode)), nil)
        case .install(let job):
            // What the installer has taken over, the agent cannot open: then the request is about what the installer has.
            let file: OpenFile?
            do throws(SystemError) {
                file = try Files.open(job.artifact.path)
            } catch {
                guard error.isNotFound || error.isNotPermitted else { throw error }
                file = nil
            }
            let sidecar = try job.artifact.sidecarPath.map {
                String(decoding: try Files.read($0, limit: maximumSidecarBytes), as: UTF8.self)
            }
            let job = InstallJob(id: job.id, offer: job.offer, sidecar: sidecar)
            return (try JSONLine.encode(InstallMessage.install(job)), file)
        }
    }

    /// One request and the reports that have been received.
    @MainActor private final class Exchange {
        private let onReport: @MainActor (InstallReport) -> Void
        private let onEnd: @MainActor (InstallResult) -> Void
        private var result: InstallResult?
        private var channel: LineChannel?
        private var limit: Timer?
        private var hasEnded = false

        init(
            _ onReport: @escaping @MainActor (InstallReport) -> Void,
            _ onEnd: @escaping @MainActor (InstallResult) -> Void
        ) {
            (self.onReport, self.onEnd) = (onReport, onEnd)
        }

        func connect(_ socket: CInt, _ message: [UInt8], _ artifact: OpenFile?, _ timeLimit: Seconds) {
            let hint = "see journalctl -t upgradelink-installer"
            limit = Timer(after: timeLimit) { self.end("it took too long; \(hint)") }
            channel = LineChannel(input: socket, output: socket, onLine: take) {
                self.end("it ended without a result; \(hint)")
            }
            channel?.send(message, passing: artifact)
        }

        func take(_ line: String) {
            switch try? JSONLine.decode(InstallReport.self, from: Array(line.utf8)) {
            case .finished(let value)?: result = value
            case let report?: onReport(report)
            case nil: break
            }
        }

        /// - Parameter reason: why there is no result, if there is none.
        func end(_ reason: String) {
            guard !hasEnded else { return }
            hasEnded = true
            limit?.cancel()
            channel?.close()
            (limit, channel) = (nil, nil)
            onEnd(result ?? .lost(reason))
        }
    }
}
