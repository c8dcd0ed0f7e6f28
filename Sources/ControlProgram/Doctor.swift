import ArgumentParser
import Configuration
import Glibc
import Host
import Systemd
import UpdateCore

struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check everything an update needs: one line each, with the remedy.",
        discussion: """
            Asks the server as a box that runs the highest version would, so that no counter of a roll-out is used up. \
            Needs to read the configuration: run it as root. Exit status: 0 all is well, 1 something is not.
            """)

    @Option(help: ArgumentHelp("Read the files below this folder instead of /.", valueName: "folder"))
    var root = "/"

    @Option(help: ArgumentHelp("Where upgradelink-fetch is.", valueName: "folder"))
    var programs: String?

    func run() throws {
        var findings = [Finding]()
        func tell(_ finding: Finding) {
            findings.append(finding)
            say(finding.line)
        }
        let settings: Settings
        let credentials: Credentials
        do throws(ConfigurationError) {
            (settings, credentials) = try Settings.loadWithCredentials(root: root, environment: Environment.current)
            tell(.well("configuration", settings.warnings.first ?? "right"))
        } catch {
            tell(.ill("configuration", "\(error)", "mend it, then run upgradelinkd --check-config"))
            throw ExitCode(1)
        }
        let checkup = Checkup(
            settings: settings, credentials: credentials, programs: programs ?? Checkup.defaultPrograms)
        tell(checkup.version)
        tell(checkup.keys)
        tell(checkup.clock)
        tell(checkup.nameService)
        for finding in checkup.server() { tell(finding) }
        tell(checkup.space)
        tell(checkup.module)
        for finding in checkup.units { tell(finding) }
        tell(checkup.agent)
        if findings.contains(where: { !$0.isWell }) { throw ExitCode(1) }
    }
}

/// One line of the doctor's.
struct Finding {
    var isWell: Bool
    var line: String

    static func well(_ name: String, _ text: String) -> Finding {
        Finding(isWell: true, line: "\(Terminal.paint("ok  ", .green)) \(name): \(text)")
    }

    static func ill(_ name: String, _ text: String, _ remedy: String) -> Finding {
        Finding(isWell: false, line: "\(Terminal.paint("BAD ", .red)) \(name): \(text); \(remedy)")
    }
}
