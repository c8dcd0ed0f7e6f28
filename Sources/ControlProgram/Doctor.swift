import ArgumentParser
import Configuration
import DeviceChecks
import Glibc
import Host
import UpdateCore

struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check everything an update needs: one line each, with the remedy.",
        discussion: """
            Each check is ok, warn (something is unwise), BAD (updates do not work) or skip (not checked, and why). What \
            the agent must be able to read is checked with the agent's rights. Nothing is changed. The update check reports \
            the highest possible version as installed, so that it consumes no roll-out quota.

            Exit status: 0 nothing is BAD; 1 something is BAD; 77 this user is not root, or cannot \
            read the files below --root.
            """)

    @Option(help: ArgumentHelp("Read the files below this directory instead of /.", valueName: "directory"))
    var root = "/"

    @Option(help: ArgumentHelp("The directory of upgradelink-fetch.", valueName: "directory"))
    var programs: String?

    @OptionGroup var json: JSONOption

    func run() throws {
        guard geteuid() == 0 || root != "/" else {
            complain(
                "upgradelinkctl doctor needs root, because it reads the keys, and checks with the rights of the agent: run sudo upgradelinkctl doctor"
            )
            throw ExitCode(EX_NOPERM)
        }
        if let path = UnreadableFiles.first(root: root) {
            complain(
                "upgradelinkctl doctor needs root, because this user cannot read \(path): run sudo upgradelinkctl doctor --root \(root)"
            )
            throw ExitCode(EX_NOPERM)
        }
        let system = SystemCheckup(root: root)
        var findings = system.findings
        let settings: Settings
        let credentials: Credentials
        do throws(ConfigurationErrors) {
            (settings, credentials) = try Settings.loadWithCredentials(root: root, environment: Environment.current)
        } catch {
            findings += error.errors.map {
                .bad(Checkup.configuration, "\($0)", "correct it; upgradelinkd.toml(5) has every option")
            }
            findings += system.units(boot: false)
            try report(findings)
            throw ExitCode(1)
        }
        let warnings = settings.warnings.map { Finding.warn(Checkup.configuration, $0) }
        findings += warnings.isEmpty ? [.ok(Checkup.configuration, "valid")] : warnings
        findings += system.units(boot: settings.install.missedWindows == .boot)
        let checkup = Checkup(
            settings: settings, credentials: credentials, programs: programs ?? Checkup.defaultPrograms, root: root)
        findings += checkup.findings
        // `main` calls this on the main thread.
        MainActor.assumeIsolated {
            checkup.server { reply in
                findings += reply
                do {
                    try report(findings)
                    Glibc.exit(findings.contains { $0.result == .bad } ? 1 : 0)
                } catch {
                    complain("\(error)")
                    Glibc.exit(EX_SOFTWARE)
                }
            }
            MainQueue.serve()
        }
    }

    private func report(_ findings: [Finding]) throws {
        let report = CheckupReport(findings)
        if let form = json.form { return try printJSON(report, as: form) }
        report.lines.forEach(say)
    }
}
