import Configuration
import Glibc
import Host
import Installation
import UpdateCore

/// `upgradelink-installer` handles one request, which it reads from the socket that is its standard input, and sends its
/// reports through the same socket. Unlike a download, an installation does not end when the client disconnects, because a
/// module must not be interrupted without need.
public enum InstallerProgram {
    private static let help = """
        upgradelink-installer is upgradelinkd's helper that verifies an artifact and runs its update module.

          (no option)    take one request from the socket that is standard input; upgradelinkd, or
                         upgradelink-installer with --listen, starts it like this
          --listen       start an installer for each request on the socket of upgradelink-installer.socket
                         (upgradelink-installer.service); end after 20 s without a request
          --resume       resume an installation after a reboot: verify, commit or roll back
                         (upgradelink-installer-resume.service)
          --root DIR     read the configuration below this directory instead of /

        Exit status: 0 done; 1 the request failed; 64 wrong arguments, or no request that makes sense; 77 the request came from a
        user who may not send requests; 78 wrong configuration.
        """
    /// Seconds until the whole request must have come. A client sends it right after it has connected.
    private static let requestTimeout = 10.0
    /// Seconds that a slow client has to read the last reports, after the directory is free for other installers.
    private static let reportTimeout: Seconds = 5

    public static func main() -> Never {
        var root = "/"
        var mode = Mode.request
        var arguments = CommandLine.arguments.dropFirst()
        while let argument = arguments.popFirst() {
            switch argument {
            case "--help", "-h":
                print(help)
                exit(0)
            case "--resume": mode = .resume
            case "--listen": mode = .listen
            case "--root" where !arguments.isEmpty: root = arguments.removeFirst()
            default:
                Environment.printError("upgradelink-installer: \(argument) is not known; see --help")
                exit(64)
            }
        }
        Signals.ignore(SIGPIPE, SIGTERM, SIGINT, SIGHUP)
        umask(0o022)
        // Only the main thread runs so far.
        MainActor.assumeIsolated {
            if mode != .listen {
                Descendants.adopt()
                MainQueue.onSignal([SIGTERM, SIGINT]) { _ in stop.make() }
            }
            switch mode {
            case .request: serveRequest(root: root)
            case .resume: resumePending(root: root)
            case .listen: listen(root: root)
            }
        }
        MainActor.assumeIsolated { MainQueue.serve() }
    }

    private enum Mode { case request, resume, listen }

    @MainActor private static let stop = StopRequest()
    /// Seconds after which a signal that came during the wait for the lock has been handled.
    private static let signalTime: Seconds = 0.02

    /// Starts installers for the requests on a socket of the service manager.
    @MainActor private static func listen(root: String) {
        guard let socket = try? LocalSocket.passedListener(waiting: RequestListener.waiting) else {
            Environment.printError(
                "upgradelink-installer: --listen needs a listening socket as descriptor 3; "
                    + "upgradelink-installer.socket starts it with one")
            exit(64)
        }
        let listener = RequestListener(socket, arguments: root == "/" ? [] : ["--root", root])
        listener.start()
        self.listener = listener
    }

    @MainActor private static var listener: RequestListener?

    private static func fail(_ error: any Error) -> Never {
        let failure = error as? ConfigurationErrors
        for problem in failure?.errors ?? [] { Environment.printError("upgradelink-installer: \(problem)") }
        if failure == nil { Environment.printError("upgradelink-installer: \(error)") }
        exit(failure != nil || error is ConfigurationError ? 78 : 1)
    }

    /// Handles the request of the process at the other end of the socket.
    @MainActor private static func serveRequest(root: String) {
        guard let socket = LocalSocket.standardInput, let peer = try? socket.peerUser else {
            Environment.printError(
                "upgradelink-installer: standard input is no socket; upgradelinkd starts this program")
            exit(64)
        }
        guard PeerCredentials.mayRequest(peer) else {
            Environment.printError("upgradelink-installer: user \(peer) may not request installations")
            exit(77)
        }
        // The listener counts requests that make no sense; without it, each one is logged.
        let isListenersChild = Environment.current[RequestListener.mark.name] != nil
        let reports = ReportChannel(socket, logs: isListenersChild)
        let (message, file): (InstallMessage, OpenFile?)
        do {
            (message, file) = try receive(socket)
        } catch {
            let reason = "no request that makes sense came through the socket: \(error)"
            if !isListenersChild { Environment.printError("upgradelink-installer: \(reason)") }
            if let bytes = try? JSONLine.encode(InstallReport.finished(.refused(reason, code: .jobInvalid))) {
                _ = try? socket.sendNow(bytes[...])
            }
            exit(64)
        }
        let end: Installer.Completion = { outcome in
            switch outcome {
            case .success(let result):
                reports.send(.finished(result))
                reports.finish(within: reportTimeout) { exit(0) }
            case .failure(let error):
                // The agent shows the error to the operator.
                reports.send(.finished(.lost("\(error)")))
                reports.finish(within: reportTimeout) { fail(error) }
            }
        }
        if message == .space { return answerSpace(root: root, reports, end) }
        do {
            let installer = try DeviceInstaller(root: root, verifies: true, stop: stop) { reports.send($0) }
            MainQueue.after(signalTime) { installer.handle(message, file, isRoot: peer == 0, then: end) }
        } catch {
            end(.failure(error))
        }
    }

    /// It needs no lock: nothing is installed.
    @MainActor private static func answerSpace(
        root: String, _ reports: ReportChannel, _ end: @escaping Installer.Completion
    ) {
        do {
            let settings = try Settings.load(root: root, environment: Environment.current)
            SpaceQuery.ask(InstallSettings(settings), directory: settings.installerDirectory) { needs in
                if let needs { reports.send(.space(needs)) }
                end(.success(.unknown))
            }
        } catch {
            end(.failure(error))
        }
    }

    /// Waits for the request. Only an installation has a file; every other file is closed.
    private static func receive(_ socket: LocalSocket) throws -> (InstallMessage, OpenFile?) {
        guard let (line, file) = try socket.receiveLine(limit: maximumMessageBytes, within: requestTimeout) else {
            throw Senseless(description: "it ended before the line did")
        }
        socket.stopReceiving()
        guard let message = try? JSONLine.decode(InstallMessage.self, from: line) else {
            throw Senseless(description: "it is not a message of this version")
        }
        guard case .install = message else { return (message, nil) }
        return (message, file)
    }

    private struct Senseless: Error, CustomStringConvertible { let description: String }

    /// Resumes an installation after a reboot, without a request. Standard error is the journal.
    @MainActor private static func resumePending(root: String) {
        let report: @MainActor (InstallReport) -> Void = { report in
            switch report {
            case .state(let name): Environment.printError("<6>Resuming \(name)")
            case .output(let line): Environment.printError("<6>\(line)")
            case .space, .finished: break
            }
        }
        do {
            // A new installer for each try releases the lock in between, so that a request of the agent can run.
            let installer = try DeviceInstaller(root: root, verifies: false, stop: stop, report: report)
            MainQueue.after(signalTime) {
                installer.resumePending { resumed($0, rebootTimeout: installer.rebootTimeout, root: root) }
            }
        } catch {
            fail(error)
        }
    }

    @MainActor private static func resumed(
        _ outcome: Result<InstallResult?, any Error>, rebootTimeout: Seconds, root: String
    ) {
        switch outcome {
        case .failure where stop.isMade: exit(0)
        case .failure(let stopped as StopRequest.Stopped):
            Environment.printError("<5>The installation waits: \(stopped)")
            exit(0)
        case .failure(let error): fail(error)
        case .success(nil): exit(0)
        case .success(let result?):
            Environment.printError("<5>\(result.line)")
            guard let delay = retryDelay(after: result, rebootTimeout), !stop.isMade else { exit(0) }
            stop.whenMade { exit(0) }
            MainQueue.after(delay) {
                stop.clear()
                resumePending(root: root)
            }
        }
    }

    /// Seconds until the reboot is requested again, if it was refused or has not come by then.
    static func retryDelay(after result: InstallResult, _ rebootTimeout: Seconds) -> Seconds? {
        switch result {
        case .rebootRefused: min(60, rebootTimeout)
        case .rebooting: rebootTimeout
        // A rollback that waits for a lock.
        case .lost: 60
        default: nil
        }
    }
}
