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
                         upgradelink-installer.socket for it, starts it like this
          --resume       resume an installation after a reboot: verify, commit or roll back
                         (upgradelink-installer-resume.service)
          --root DIR     read the configuration below this directory instead of /

        Exit status: 0 done; 1 the request failed; 64 wrong arguments, or no request; 77 the request came from a
        user who may not send requests; 78 wrong configuration.
        """
    /// Seconds to wait for the request. A client sends it right after it has connected.
    private static let requestTimeout = 10.0

    public static func main() -> Never {
        var root = "/"
        var resumes = false
        var arguments = CommandLine.arguments.dropFirst()
        while let argument = arguments.popFirst() {
            switch argument {
            case "--help", "-h":
                print(help)
                exit(0)
            case "--resume": resumes = true
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
            if resumes { resumePending(root: root) } else { serveRequest(root: root) }
        }
        MainActor.assumeIsolated { MainQueue.serve() }
    }

    private static func fail(_ error: any Error) -> Never {
        Environment.printError("upgradelink-installer: \(error)")
        exit(error is ConfigurationError ? 78 : 1)
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
        guard let (line, file) = try? socket.receiveLine(limit: maximumMessageBytes, within: requestTimeout),
            let message = try? JSONLine.decode(InstallMessage.self, from: line)
        else {
            Environment.printError("upgradelink-installer: no request came through the socket")
            exit(64)
        }
        let report: @MainActor (InstallReport) -> Void = { report in
            // The agent may have disconnected; the installation continues.
            if let bytes = try? JSONLine.encode(report) { try? socket.send(bytes) }
        }
        let end: Installer.Completion = { outcome in
            switch outcome {
            case .success(let result):
                report(.finished(result))
                exit(0)
            case .failure(let error):
                // The agent shows the error to the operator.
                report(.finished(.lost("\(error)")))
                fail(error)
            }
        }
        do {
            try DeviceInstaller(root: root, verifies: true, report: report).handle(message, file, then: end)
        } catch {
            end(.failure(error))
        }
    }

    /// Resumes an installation after a reboot, without a request. Standard error is the journal.
    @MainActor private static func resumePending(root: String) {
        let report: @MainActor (InstallReport) -> Void = { report in
            switch report {
            case .state(let name): Environment.printError("<6>Resuming \(name)")
            case .output(let line): Environment.printError("<6>\(line)")
            case .finished: break
            }
        }
        do {
            // A new installer for each try releases the lock in between, so that a request of the agent can run.
            try DeviceInstaller(root: root, verifies: false, report: report).resumePending { outcome in
                switch outcome {
                case .failure(let error): fail(error)
                case .success(nil): exit(0)
                case .success(let result?):
                    Environment.printError("<5>\(result.line)")
                    guard case .rebootRefused = result else { exit(0) }
                    MainQueue.after(retryDelay) { resumePending(root: root) }
                }
            }
        } catch {
            fail(error)
        }
    }

    /// Seconds until the next try after a refused reboot.
    private static let retryDelay: Seconds = 60
}
