import Glibc
import Host
import UpdateCore

/// The update modules that come as part of the one program: it is started through a link with the name of a module.
///
/// The arguments are a state, or a query, of Mender's update module protocol, version 3, and the file tree; else the file tree
/// is the working directory.
public enum ModuleProgram {
    private static let names = [FileModule.name, DirectoryModule.name, ImageModule.name]

    /// The module that a path names by its last name; nil if that is no module of this program.
    private static func name(_ path: String) -> String? {
        names.first { $0 == path.split(separator: "/").last.map(String.init) }
    }

    public static func isModule(_ path: String) -> Bool { name(path) != nil }

    public static func main() -> Never {
        let arguments = CommandLine.arguments
        let name = name(arguments.first ?? "")
        umask(0o022)
        switch name {
        case FileModule.name: run(FileModule.self, Array(arguments.dropFirst()))
        case DirectoryModule.name: run(DirectoryModule.self, Array(arguments.dropFirst()))
        case ImageModule.name: run(ImageModule.self, Array(arguments.dropFirst()))
        default:
            Environment.printError(
                "upgradelink-module: start this through a link named \(names.joined(separator: " or "))")
            exit(EX_USAGE)
        }
    }

    private static func run<Chosen: Module>(_ module: Chosen.Type, _ arguments: [String]) -> Never {
        guard let state = arguments.first, arguments.count <= 2, !state.hasPrefix("-") else {
            Environment.printError(
                "\(Chosen.name): this is an update module; its arguments are a state and the path of a file tree "
                    + "(man upgradelink-modules)")
            exit(EX_USAGE)
        }
        do {
            switch state {
            case "NeedsArtifactReboot": print(Chosen.needsReboot)
            case "SupportsRollback": print(Chosen.supportsRollback)
            case "NeedsSpace":
                let tree = try ModuleTree(arguments.count == 2 ? arguments[1] : ".")
                let needs = try Chosen(tree).spaceNeeds()
                for need in needs { print(need.directory, need.percent, need.bytes) }
                if needs.isEmpty { print("none") }
            default:
                let tree = try ModuleTree(arguments.count == 2 ? arguments[1] : ".")
                try Chosen(tree).enter(ModuleState(state))
            }
        } catch {
            Environment.printError("\(Chosen.name): \(error)")
            exit(1)
        }
        exit(0)
    }
}
