import Host
import Synchronization
import UpdateCore

/// An executable that speaks the protocol.
struct UpdateModule {
    enum Failure: Error, CustomStringConvertible {
        case notFound(String, [String])
        case notExecutable(String)

        var description: String {
            switch self {
            case .notFound(let name, let folders):
                "there is no update module \"\(name)\" in \(folders.joined(separator: " or ")): "
                    + "install it, or set install.module"
            case .notExecutable(let path): "the update module \(path) is not executable: chmod +x it"
            }
        }
    }

    let path: String
    let tree: FileTree
    let settings: InstallSettings
    let mark: ProcessMark
    let log: @Sendable (String) -> Void

    /// - Parameter mark: of what the module starts.
    init(
        _ settings: InstallSettings, tree: FileTree, mark: ProcessMark, log: @escaping @Sendable (String) -> Void
    ) throws(Failure) {
        let candidates = settings.moduleFolders.map { "\($0)/\(settings.module)" }
        guard let path = candidates.first(where: Files.exists) else {
            throw .notFound(settings.module, settings.moduleFolders)
        }
        guard Files.isExecutable(path) else { throw .notExecutable(path) }
        self.path = path
        self.tree = tree
        self.settings = settings
        self.mark = mark
        self.log = log
    }

    func run(_ state: ModuleState) async -> StepOutcome {
        let end = await call(state.rawValue, onOutput: log)
        return end.succeeded ? .succeeded : .failed("\(settings.module) failed in \(state.rawValue): \(end)")
    }

    /// The first line that the module prints; an empty one where it prints none.
    func ask(_ query: String) async throws(QueryFailure) -> String {
        let lines = Lines()
        let end = await call(query) { line in lines.add(line) }
        guard end.succeeded else { throw QueryFailure(reason: "\(settings.module) failed in \(query): \(end)") }
        return lines.first
    }

    struct QueryFailure: Error { var reason: String }

    private func call(_ argument: String, onOutput: @escaping @Sendable (String) -> Void) async -> ProcessEnd {
        var command = [path, argument, tree.path]
        if needsNetwork, NetworkNamespace.isPrivate { command = NetworkNamespace.leaving + command }
        let program = Program(
            command[0], Array(command.dropFirst()), workingDirectory: tree.path,
            mark: mark, timeLimit: settings.timeLimit(of: argument))
        return await program.run(onOutput: onOutput, onError: log)
    }

    /// Declared by the module, with an empty file `NAME.network` beside it, or by the operator.
    private var needsNetwork: Bool { settings.needsNetwork || Files.exists(path + ".network") }

    private final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        func add(_ line: String) { lines.withLock { if $0.isEmpty { $0.append(line) } } }
        var first: String { lines.withLock { $0.first ?? "" } }
    }
}
