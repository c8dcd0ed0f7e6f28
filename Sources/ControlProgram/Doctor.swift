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
        let settings: Settings
        let credentials: Credentials
        do throws(ConfigurationError) {
            (settings, credentials) = try Settings.loadWithCredentials(root: root, environment: Environment.current)
            say(Finding.well("configuration", settings.warnings.first ?? "right").line)
        } catch {
            say(Finding.ill("configuration", "\(error)", "mend it, then run upgradelinkd --check-config").line)
            throw ExitCode(1)
        }
        let checkup = Checkup(
            settings: settings, credentials: credentials, programs: programs ?? Checkup.defaultPrograms)
        // Called by `main`, on the main thread.
        MainActor.assumeIsolated {
            var isWell = true
            func tell(_ findings: [Finding]) {
                for finding in findings {
                    say(finding.line)
                    isWell = isWell && finding.isWell
                }
            }
            tell([checkup.version, checkup.keys, checkup.clock, checkup.nameService])
            checkup.server { findings in
                tell(findings + [checkup.space, checkup.module] + checkup.units + [checkup.agent])
                Glibc.exit(isWell ? 0 : 1)
            }
            MainQueue.serve()
        }
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
