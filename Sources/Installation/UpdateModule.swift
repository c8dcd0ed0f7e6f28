import Host
import UpdateCore

/// An executable that implements Mender's update module protocol.
@MainActor struct UpdateModule {
    enum Failure: Error, CustomStringConvertible {
        case notFound(String, [String])
        case notExecutable(String)

        var description: String {
            switch self {
            case .notFound(let name, let directories):
                "there is no update module \"\(name)\" in \(directories.joined(separator: " or ")): "
                    + "install it, or set install.module"
            case .notExecutable(let path): "the update module \(path) is not executable: chmod +x it"
            }
        }
    }

    let name: String
    let path: String
    let tree: FileTree
    let settings: InstallSettings
    let mark: ProcessMark
    let log: @MainActor (String) -> Void

    /// - Parameter mark: the mark of the processes that the module starts.
    init(
        _ name: String, _ settings: InstallSettings, tree: FileTree, mark: ProcessMark,
        log: @escaping @MainActor (String) -> Void
    ) throws(Failure) {
        let candidates = settings.moduleDirectories.map { "\($0)/\(name)" }
        guard let path = candidates.first(where: Files.exists) else {
            throw .notFound(name, settings.moduleDirectories)
        }
        guard Files.isExecutable(path) else { throw .notExecutable(path) }
        self.name = name
        self.path = path
        self.tree = tree
        self.settings = settings
        self.mark = mark
        self.log = log
    }

    func run(_ state: ModuleState, then done: @escaping @MainActor (StepOutcome) -> Void) {
        call(state.rawValue, onOutput: log) { failure in done(failure.map { .failed($0) } ?? .succeeded) }
    }

    /// Runs a query of the protocol. The response is the first line that the module prints, or an empty string.
    func query(
        _ query: String, then done: @escaping @MainActor (Result<String, QueryFailure>) -> Void
    ) {
        var response: String?
        call(query, onOutput: { response = response ?? $0 }) { failure in
            done(failure.map { .failure(QueryFailure(reason: $0)) } ?? .success(response ?? ""))
        }
    }

    struct QueryFailure: Error { var reason: String }

    /// - Parameter done: called with the reason if the module failed. The last line that it wrote to standard error tells the
    ///   operator more than an exit status.
    private func call(
        _ argument: String, onOutput: @escaping @MainActor (String) -> Void,
        then done: @escaping @MainActor (_ failure: String?) -> Void
    ) {
        var command = [path, argument, tree.path]
        if needsNetwork, NetworkNamespace.isPrivate { command = NetworkNamespace.leaving + command }
        var lastLine: String?
        ChildProcess.start(
            Program(
                command[0], Array(command.dropFirst()), streams: .captured, workingDirectory: tree.path, mark: mark,
                timeLimit: settings.timeLimit(of: argument)),
            onLine: onOutput,
            onErrorLine: { line in
                log(line)
                lastLine = Self.reason(line) ?? lastLine
            },
            onEnd: { end in
                let reason =
                    switch (end, lastLine) {
                    case (.exited, let line?): line
                    case (_, let line?): "\(end); its last message: \(line)"
                    case (_, nil): "\(end)"
                    }
                done(end.succeeded ? nil : "\(name) failed in \(argument): \(reason)")
            })
    }

    /// The characters of a module's line that a reason has at most.
    private static let reasonLimit = 300

    /// A line for the reason of a failure: without the priority for the journal, such as `<3>` (sd-daemon(3)), and safe for
    /// terminals. Nil if it is empty.
    private static func reason(_ line: String) -> String? {
        var text = line[...]
        if let priority = text.prefixMatch(of: /<[0-7]>/) { text = text[priority.range.upperBound...] }
        let reason = String(text).sanitized(limit: reasonLimit)
        return reason.isEmpty ? nil : reason
    }

    /// `ArtifactReboot` restarts something other than the device, and has done so when it returns. The module declares it with an
    /// empty file `NAME.peripheral` next to it.
    var restartsPeripheral: Bool { Files.exists(path + ".peripheral") }

    /// The module declares it with an empty file `NAME.network` next to it, or the operator configures it.
    private var needsNetwork: Bool { settings.needsNetwork || Files.exists(path + ".network") }
}
