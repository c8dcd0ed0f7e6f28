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
    private let timeLimit: Duration

    /// - Parameter timeLimit: afterwards the installer counts as lost.
    public init(_ way: Way, timeLimit: Duration) {
        self.way = way
        self.timeLimit = timeLimit
    }

    /// - Parameter onReport: called for each report but the last, in order, on the caller's actor.
    public func run(
        _ request: InstallRequest, isolation: isolated (any Actor)? = #isolation, onReport: (InstallReport) -> Void
    ) async -> InstallResult {
        let message: [UInt8]
        let artifact: OpenFile?
        do {
            (message, artifact) = try Self.seal(request)
        } catch {
            return .refused("its file is lost: \(error)")
        }
        var result: InstallResult?
        do throws(SystemError) {
            let socket: LocalSocket
            var end: Task<ProcessEnd, Never>?
            switch way {
            case .socket(let path): socket = try LocalSocket(connectingTo: path)
            case .program(let path, let arguments):
                (socket, end) = try SocketWorker(path: path, arguments: arguments, timeLimit: timeLimit).start()
            }
            await socket.converse(message, passing: artifact, timeLimit: timeLimit) { line in
                switch try? JSONLine.decode(InstallReport.self, from: Array(line.utf8)) {
                case .finished(let value)?: result = value
                case let report?: onReport(report)
                case nil: break
                }
            }
            let how = await end?.value
            return result ?? .lost(how.map { "\($0)" } ?? "it ended without a result")
        } catch {
            return .lost("\(error); see systemctl status upgradelink-installer.socket")
        }
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
