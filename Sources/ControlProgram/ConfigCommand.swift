import ArgumentParser
import Configuration
import Host

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Show every effective option and the file that sets it.",
        discussion: "Secrets are masked. upgradelinkd --check-config checks the values.")

    @Option(help: ArgumentHelp("Read the files below this directory instead of /.", valueName: "directory"))
    var root = "/"

    @Flag(help: "Only options that a file sets, without the defaults.")
    var changed = false

    func run() throws {
        do throws(ConfigurationErrors) {
            for entry in try EffectiveConfiguration(root: root).entries where entry.file != nil || !changed {
                guard let value = entry.value else { continue }
                let line: Shown = "\(entry.key) = \(value, limit: 4000)"
                say("\(line.padding(to: 60))  # \(entry.file ?? "default")")
            }
        } catch {
            error.errors.forEach { complain("\($0)") }
            throw ExitCode(78)
        }
    }
}
