import Configuration
import Glibc
import Host
import Installation
import UpdateCore

/// `upgradelink-installer`: one installation, or the rest of one, asked for through a socket that is standard input, told
/// about through the same. Unlike a download it is not given up when whoever asked goes away: a module in the middle of its
/// work is best left to finish it.
public enum InstallerProgram {
    private static let help = """
        upgradelink-installer is upgradelinkd's helper that verifies an artifact and runs its update module.

          (no option)    take one request from the socket that is standard input; upgradelinkd, or
                         upgradelink-installer.socket for it, starts it like this
          --resume       go on with an installation that a restart of the box interrupted: verify, commit or roll
                         back (upgradelink-installer-resume.service)
          --root FOLDER  read the configuration below this folder instead of /

        Exit status: 0 done; 1 it could not be done; 64 wrong arguments, or no request; 77 the request came from a
        user who may not ask; 78 wrong configuration.
        """
    /// A whole request comes at once; whoever sends none is not waited for.
    private static let patience = 10.0

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
        // The process has one thread yet, and it is the main one.
        MainActor.assumeIsolated {
            if resumes { resumePending(root: root) } else { answer(root: root) }
        }
        MainActor.assumeIsolated { MainQueue.serve() }
    }

    private static func fail(_ error: any Error) -> Never {
        Environment.printError("upgradelink-installer: \(error)")
        exit(error is ConfigurationError ? 78 : 1)
    }

    /// One request, from the process at the other end.
    @MainActor private static func answer(root: String) {
        guard let socket = LocalSocket.standardInput, let peer = try? socket.peerUser else {
            Environment.printError(
                "upgradelink-installer: standard input is no socket; upgradelinkd starts this program")
            exit(64)
        }
        guard Door.admits(peer) else {
            Environment.printError("upgradelink-installer: user \(peer) may not ask for installations")
            exit(77)
        }
        guard let (line, file) = try? socket.receiveLine(limit: maximumMessageBytes, within: patience),
            let message = try? JSONLine.decode(InstallMessage.self, from: line)
        else {
            Environment.printError("upgradelink-installer: no request came through the socket")
            exit(64)
        }
        let report: @MainActor (InstallReport) -> Void = { report in
            // The agent may not listen any more, and the work goes on.
            if let bytes = try? JSONLine.encode(report) { try? socket.send(bytes) }
        }
        let end: Installer.Completion = { outcome in
            switch outcome {
            case .success(let result):
                report(.finished(result))
                exit(0)
            case .failure(let error):
                // The agent shows it to the operator.
                report(.finished(.lost("\(error)")))
                fail(error)
            }
        }
        do {
            try BoxInstaller(root: root, report: report).handle(message, file, then: end)
        } catch {
            end(.failure(error))
        }
    }

    /// What a reboot interrupted, without a request; standard error is the journal.
    @MainActor private static func resumePending(root: String) {
        let report: @MainActor (InstallReport) -> Void = { report in
            switch report {
            case .state(let name): Environment.printError("<6>Going on with \(name)")
            case .output(let line): Environment.printError("<6>\(line)")
            case .finished: break
            }
        }
        do {
            // Made anew for each try, so that a request of the agent gets its turn in between.
            try BoxInstaller(root: root, report: report).resumePending { outcome in
                switch outcome {
                case .failure(let error): fail(error)
                case .success(nil): exit(0)
                case .success(let result?):
                    Environment.printError("<5>\(result.line)")
                    guard case .restartRefused = result else { exit(0) }
                    MainQueue.after(retryDelay) { resumePending(root: root) }
                }
            }
        } catch {
            fail(error)
        }
    }

    /// After a reboot that was refused, in seconds.
    private static let retryDelay: Seconds = 60
}
