import Configuration
import DeviceChecks
import Glibc
import Host
import Systemd

/// `upgradelinkd --check-config`: the configuration, and what the agent needs on this device, with the agent's rights.
enum ConfigurationCheck {
    static func run(root: String, _ environment: [String: String]) -> Never {
        let settings: Settings
        do throws(ConfigurationErrors) {
            (settings, _) = try Settings.loadWithCredentials(root: root, environment: environment)
        } catch {
            if let path = UnreadableFiles.first(root: root) {
                Environment.printError(
                    "upgradelinkd --check-config needs root, because this user cannot read \(path): "
                        + "run sudo upgradelinkd --check-config")
                exit(EX_NOPERM)
            }
            error.errors.forEach { Environment.printError("\($0)") }
            exit(EX_CONFIG)
        }
        let warnings =
            settings.warnings
            + HealthUnits.problems(of: settings.install.healthUnits, restarted: settings.install.restartUnits)
            + MountTable.current.warnings(about: settings.stateDirectory, settings.installerDirectory)
        warnings.forEach { Environment.printLine("warning: \($0)") }
        let findings = AgentRights.findings(AgentNeeds(settings, root: root), root: root)
        for finding in findings {
            switch finding.result {
            case .ok: break
            case .warn: Environment.printLine("warning: \(finding.name): \(finding.line)")
            case .skip: Environment.printLine("not checked: \(finding.name): \(finding.line)")
            case .bad: Environment.printError("\(finding.name): \(finding.line)")
            }
        }
        if findings.contains(where: { $0.result == .bad }) { exit(EX_CONFIG) }
        Environment.printLine("The configuration is right.")
        exit(0)
    }
}
