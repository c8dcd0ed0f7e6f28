import FoundationEssentials
import Glibc
public import UpdateCore

/// The agent's side of the door to the installer: one request goes in, with the artifact as an open file beside it, and
/// reports come back.
public struct InstallerDoor: Sendable {
    public enum Way: Hashable, Sendable {
        /// A socket on which the service manager starts an installer for each connection.
        case socket(String)
        /// No service manager: the caller starts the installer itself.
        case program(String, arguments: [String])
    }

    private let way: Way
    private let timeLimit: Seconds

    /// - Parameter timeLimit: afterwards the installer counts as lost.
    public init(_ way: Way, timeLimit: Seconds) {
        self.way = way
        self.timeLimit = timeLimit
    }

    /// Asks for it. Neither closure is called before this returns.
    ///
    /// - Parameters:
    ///   - onReport: hears each report but the last, in order.
    ///   - onEnd: called once.
    public func start(
        on loop: EventLoop, _ request: InstallRequest, onReport: @escaping (InstallReport) -> Void,
        onEnd: @escaping (InstallResult) -> Void
    ) {
        let message: [UInt8]
        let artifact: OpenFile?
        do {
            (message, artifact) = try Self.seal(request)
        } catch {
            return loop.soon { onEnd(.refused("its file is lost: \(error)")) }
        }
        var result: InstallResult?
        let onLine = { (line: String) in
            switch try? JSONLine.decode(InstallReport.self, from: Array(line.utf8)) {
            case .finished(let value)?: result = value
            case let report?: onReport(report)
            case nil: break
            }
        }
        switch way {
        case .program(let path, let arguments):
            let worker = Worker(path, arguments, line: .socket(passing: artifact), timeLimit: timeLimit)
            _ = worker.start(on: loop, message, onLine: onLine) { end in onEnd(result ?? .lost("\(end)")) }
        case .socket(let path):
            do throws(SystemError) {
                let socket = try LocalSocket(connectingTo: path).duplicate()
                var channel: LineChannel?
                let close = { (why: String) in
                    guard let open = channel else { return }
                    channel = nil
                    open.close()
                    onEnd(result ?? .lost("\(why); see journalctl -t upgradelink-installer"))
                }
                let limit = loop.after(timeLimit) { close("it took too long") }
                channel = LineChannel(loop, input: socket, output: socket, onLine: onLine) {
                    limit.cancel()
                    close("it ended without a result")
                }
                channel?.send(message, passing: artifact)
            } catch {
                loop.soon { onEnd(.lost("\(error); see systemctl status upgradelink-installer.socket")) }
            }
        }
    }

    /// Asks for it, and waits for the result.
    public func run(_ request: InstallRequest) -> (reports: [InstallReport], result: InstallResult) {
        var reports: [InstallReport] = []
        var result: InstallResult?
        do throws(SystemError) {
            let loop = try EventLoop()
            start(on: loop, request, onReport: { reports.append($0) }, onEnd: { result = $0 })
            loop.run(while: { result == nil })
        } catch {
            result = .lost("\(error)")
        }
        return (reports, result ?? .unknown)
    }

    /// The artifact is handed over open: what its name means later does not matter.
    private static func seal(_ request: InstallRequest) throws -> (message: [UInt8], artifact: OpenFile?) {
        switch request {
        case .resume(let id): return (try JSONLine.encode(InstallMessage.resume(id)), nil)
        case .restart(let id): return (try JSONLine.encode(InstallMessage.restart(id)), nil)
        case .install(let order):
            let file = try OpenFile(order.artifact.path, O_RDONLY)
            let sidecar = try order.artifact.sidecarPath.map {
                String(decoding: try Files.read($0, limit: maximumSidecarBytes), as: UTF8.self)
            }
            let job = InstallJob(id: order.id, offer: order.offer, sidecar: sidecar)
            return (try JSONLine.encode(InstallMessage.install(job)), file)
        }
    }
}
