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
            The update check reports the highest possible version as installed, so that it consumes no roll-out quota. \
            Run it as root, because it reads the configuration. Exit status: 0 all is well, 1 something is wrong.
            """)

    @Option(help: ArgumentHelp("Read the files below this directory instead of /.", valueName: "directory"))
    var root = "/"

    @Option(help: ArgumentHelp("The directory of upgradelink-fetch.", valueName: "directory"))
    var programs: String?

    func run() throws {
        let settings: Settings
        let credentials: Credentials
        do throws(ConfigurationError) {
            (settings, credentials) = try Settings.loadWithCredentials(root: root, environment: Environment.current)
            say(Finding.well("configuration", "\(settings.warnings.first ?? "right")").line)
        } catch {
            say(Finding.ill("configuration", "\(error)", "fix it, then run upgradelinkd --check-config").line)
            throw ExitCode(1)
        }
        let checkup = Checkup(
            settings: settings, credentials: credentials, programs: programs ?? Checkup.defaultPrograms)
        // `main` calls this on the main thread.
        MainActor.assumeIsolated {
            var isWell = true
            func show(_ findings: [Finding]) {
                for finding in findings {
                    say(finding.line)
                    isWell = isWell && finding.isWell
                }
            }
            show([checkup.version, checkup.keys, checkup.clock, checkup.nameService])
            checkup.server { findings in
                show(
                    findings + [checkup.space] + checkup.state + [checkup.module] + checkup.units + checkup.healthUnits
                        + [checkup.agent] + checkup.agentWarnings)
                Glibc.exit(isWell ? 0 : 1)
            }
            MainQueue.serve()
        }
    }
}

/// The result of one check, as a line.
struct Finding {
    var isWell: Bool
    var line: Shown

    static func well(_ name: Shown, _ text: Shown) -> Finding {
        Finding(isWell: true, line: "\(Terminal.paint("ok  ", .green)) \(name): \(text)")
    }

    static func ill(_ name: Shown, _ text: Shown, _ remedy: Shown) -> Finding {
        Finding(isWell: false, line: "\(Terminal.paint("BAD ", .red)) \(name): \(text); \(remedy)")
    }
}
