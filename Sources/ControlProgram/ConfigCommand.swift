import ArgumentParser
import Configuration
import Host

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Show the configuration in force, and which file each value is from.",
        discussion: "Secrets are masked. What the agent makes of it: upgradelinkd --check-config.")

    @Option(help: ArgumentHelp("Read the files below this folder instead of /.", valueName: "folder"))
    var root = "/"

    @Flag(help: "Only what is configured, without the defaults.")
    var changed = false

    func run() throws {
        do throws(ConfigurationError) {
            for entry in try EffectiveConfiguration(root: root).entries where entry.file != nil || !changed {
                guard let value = entry.value else { continue }
                say("\(entry.key) = \(value)".padding(to: 60) + "  # \(entry.file ?? "default")")
            }
        } catch {
            complain("\(error)")
            throw ExitCode(78)
        }
    }
}
