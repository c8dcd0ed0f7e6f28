import Configuration
import Glibc
import Host
import Installation
import UpdateCore

// One installation, or the rest of one: asked for on standard input, told about on standard output. Unlike a download it
// is not given up when whoever asked goes away: a module in the middle of its work is best left to finish it.

let arguments = CommandLine.arguments.dropFirst()
if arguments.contains("--help") || arguments.contains("-h") {
    print(
        "upgradelink-installer is upgradelinkd's helper that runs update modules. It takes one request as a line of JSON on standard input."
    )
    exit(0)
}
ProcessGuard.ignoreBrokenPipes()
signal(SIGTERM, SIG_IGN)
signal(SIGINT, SIG_IGN)
signal(SIGHUP, SIG_IGN)
umask(0o022)
let root = arguments.first == "--root" ? arguments.dropFirst().first ?? "/" : "/"
guard let request = try? JSONLine.readRequest(), let request = try? JSONLine.decode(InstallRequest.self, from: request)
else {
    Environment.printError("upgradelink-installer: no request on standard input; upgradelinkd starts this program")
    exit(64)
}
do {
    let result = try await InstallerProgram(root: root).run(request)
    JSONLine.send(InstallReport.finished(result))
} catch let error as ConfigurationError {
    Environment.printError("upgradelink-installer: \(error)")
    exit(78)
} catch {
    Environment.printError("upgradelink-installer: \(error)")
    exit(1)
}
