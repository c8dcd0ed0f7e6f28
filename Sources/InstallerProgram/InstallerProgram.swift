import Configuration
import Dispatch
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
        ProcessGuard.ignoreBrokenPipes()
        for number in [SIGTERM, SIGINT, SIGHUP] { signal(number, SIG_IGN) }
        umask(0o022)

        Task { [root, resumes] in
            do {
                if resumes {
                    try await goOn(root: root)
                } else {
                    try await answer(root: root)
                }
            } catch let error as ConfigurationError {
                Environment.printError("upgradelink-installer: \(error)")
                exit(78)
            } catch {
                Environment.printError("upgradelink-installer: \(error)")
                exit(1)
            }
            exit(0)
        }
        dispatchMain()
    }

    /// One request, from whoever is at the other end.
    private static func answer(root: String) async throws {
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
        let report: @Sendable (InstallReport) -> Void = { report in
            // Nobody may be listening any more, and the work goes on.
            if let bytes = try? JSONLine.encode(report) { try? socket.send(bytes) }
        }
        do {
            report(.finished(try await BoxInstaller(root: root, report: report).run(message, file)))
        } catch {
            // Whoever asked shows it to the operator.
            report(.finished(.lost("\(error)")))
            throw error
        }
    }

    /// What a restart interrupted, without anybody's asking; standard error is the journal.
    private static func goOn(root: String) async throws {
        let report: @Sendable (InstallReport) -> Void = { report in
            switch report {
            case .state(let name): Environment.printError("<6>Going on with \(name)")
            case .output(let line): Environment.printError("<6>\(line)")
            case .finished: break
            }
        }
        while true {
            // Made anew for each try, so that an agent's question gets its turn in between.
            let result = try await BoxInstaller(root: root, report: report).resumePending()
            guard let result else { return }
            Environment.printError("<5>\(result.line)")
            guard case .restartRefused = result else { return }
            try await Task.sleep(for: .seconds(60))
        }
    }
}
