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
    let stop: StopRequest
    let log: @MainActor (String) -> Void

    /// - Parameters:
    ///   - mark: the mark of the processes that the module starts.
    ///   - stop: ends a running state.
    init(
        _ name: String, _ settings: InstallSettings, tree: FileTree, mark: ProcessMark, stop: StopRequest,
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
        self.stop = stop
        self.log = log
    }

    func run(_ state: ModuleState, then done: @escaping @MainActor (StepOutcome) -> Void) {
        call(state.rawValue, onOutput: log) { end in done(end.outcome(canBePostponed: state.canBePostponed)) }
    }

    /// Runs a query of the protocol. The response is the first line that the module prints, or an empty string.
    func query(
        _ query: String, then done: @escaping @MainActor (Result<String, QueryFailure>) -> Void
    ) {
        var response: String?
        call(query, onOutput: { response = response ?? $0 }) { end in
            guard end != .succeeded else { return done(.success(response ?? "")) }
            done(.failure(QueryFailure(outcome: end.outcome(canBePostponed: false))))
        }
    }

    /// Runs a query whose response has several lines.
    ///
    /// - Parameter done: called with whether the module succeeded.
    func ask(
        _ query: String, onLine: @escaping @MainActor (String) -> Void, then done: @escaping @MainActor (Bool) -> Void
    ) {
        call(query, onOutput: onLine) { done($0 == .succeeded) }
    }

    /// Why there is no response: ``StepOutcome/failed(_:)`` or ``StepOutcome/stopped``.
    struct QueryFailure: Error { var outcome: StepOutcome }

    /// How a call of the module ended.
    private enum CallEnd: Hashable {
        case succeeded
        case failed(String)
        /// For a passing reason.
        case postponed(String)
        case stopped

        func outcome(canBePostponed: Bool) -> StepOutcome {
            switch self {
            case .succeeded: .succeeded
            case .postponed(let reason) where canBePostponed: .postponed(reason)
            case .failed(let reason), .postponed(let reason): .failed(reason)
            case .stopped: .stopped
            }
        }
    }

    /// EX_TEMPFAIL (sysexits(3)).
    private static let temporaryFailure: CInt = 75

    /// - Parameter done: called when the module and everything that it has started have ended.
    private func call(
        _ argument: String, onOutput: @escaping @MainActor (String) -> Void,
        then done: @escaping @MainActor (CallEnd) -> Void
    ) {
        guard !stop.isMade else { return done(.stopped) }
        if Files.exists(waitingPath) { try? Files.remove(waitingPath) }
        var command = [path, argument, tree.path]
        if needsNetwork, NetworkNamespace.isPrivate { command = NetworkNamespace.leaving + command }
        var lastLine: String?
        let stopping = Stopping()
        stopping.child = ChildProcess.start(
            Program(
                command[0], Array(command.dropFirst()), streams: .captured, workingDirectory: tree.path, mark: mark,
                timeLimit: settings.timeLimit(of: argument)),
            onLine: onOutput,
            onErrorLine: { line in
                log(line)
                lastLine = Self.reason(line) ?? lastLine
            },
            onEnd: { end in
                stop.clear()
                stopping.child = nil
                let reason = "\(name) failed in \(argument): \(Self.reason(end, lastLine))"
                let outcome: CallEnd =
                    switch end {
                    case .exited(0): .succeeded
                    case _ where stopping.hasBegun: .stopped
                    case .exited(Self.temporaryFailure): .postponed(reason)
                    case .timedOut where Files.exists(waitingPath): .postponed(reason)
                    default: .failed(reason)
                    }
                endDescendants(of: argument) { done(outcome) }
            })
        if stopping.child != nil { stop.whenMade { end(argument, stopping) } }
    }

    /// The last line that the module wrote to standard error tells the operator more than an exit status.
    private static func reason(_ end: ProcessEnd, _ lastLine: String?) -> String {
        switch (end, lastLine) {
        case (.exited, let line?): line
        case (_, let line?): "\(end); its last message: \(line)"
        case (_, nil): "\(end)"
        }
    }

    /// What the module has started ends with its state: it must not change the device during the next one.
    private func endDescendants(of argument: String, then done: @escaping @MainActor () -> Void) {
        Descendants.end(
            onFound: { process in
                log(
                    "\(argument) of \(name) left \(process) behind: it is ended; what must continue is started with "
                        + "systemd-run or a unit (upgradelink-modules(7))")
            },
            then: { found, left in
                if found > 1 { log("\(argument) of \(name) left \(found) processes behind") }
                if left > 0 { log("\(left) processes of \(argument) cannot be ended: the kernel keeps them") }
                done()
            })
    }

    // MARK: stopping

    /// The call that a request to stop ends.
    @MainActor private final class Stopping {
        /// Nil after its end.
        var child: ChildProcess?
        var hasBegun = false
    }

    /// Seconds between two looks at ``waitingPath``.
    private static let lookInterval: Seconds = 0.2

    /// Ends the call, because the installer must stop: at once, unless the module must not be interrupted.
    private func end(_ argument: String, _ stopping: Stopping, isLater: Bool = false) {
        guard let child = stopping.child else { return }
        guard !isUninterruptible || Files.exists(waitingPath) else {
            if !isLater { log("the installer stops after \(argument), because \(name) must not be interrupted") }
            return MainQueue.after(Self.lookInterval) { end(argument, stopping, isLater: true) }
        }
        log("the installer stops, and ends \(argument) of \(name)")
        stopping.hasBegun = true
        child.terminate()
        Descendants.requestEnds()
    }

    /// The module declares with an empty file `NAME.uninterruptible` next to it that its states are not ended at a shutdown.
    private var isUninterruptible: Bool { Files.exists(path + ".uninterruptible") }

    /// The module creates this file while it only waits, for a lock for example: then it may be interrupted nevertheless, and the
    /// time limit is a passing reason.
    private var waitingPath: String { "\(tree.path)/tmp/waiting" }

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

    /// It answers the query `NeedsSpace`: it declares that with an empty file `NAME.space` next to it, or is part of the program.
    var answersSpace: Bool {
        Files.exists(path + ".space")
            || ["upgradelink", "upgradelink-module"].contains(Files.resolved(path).split(separator: "/").last ?? "")
    }

    /// The module declares it with an empty file `NAME.network` next to it, or the operator configures it.
    private var needsNetwork: Bool { settings.needsNetwork || Files.exists(path + ".network") }
}
