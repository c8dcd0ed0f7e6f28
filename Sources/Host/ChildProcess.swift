import Glibc
import UpdateCore

/// A running program: started, watched and ended on the main queue.
///
/// A program has ended when its process has ended. Processes that it left in the background do not delay the end, even if
/// they hold its output open. Except with ``Program/Streams/inherited`` and ``Program/Streams/errors``, the process leads its own
/// session and is terminated together with the processes of its group.
@MainActor public final class ChildProcess {
    private let pid: pid_t
    private let ownsSession: Bool
    private let onEnd: @MainActor (ProcessEnd) -> Void
    private let channels: [LineChannel]
    private var timers: [Timer] = []
    private var hasTimedOut = false

    /// The time between SIGTERM and SIGKILL, in seconds.
    private static let killDelay: Seconds = 2

    /// Starts a program. No closure is called before this returns.
    ///
    /// - Parameters:
    ///   - request: the first bytes of its standard input; not sent with the streams `connection`, `captured` and `inherited`.
    ///   - onLine: called with each line of its standard output, in order.
    ///   - onErrorLine: called with each line of its standard error, if that is captured.
    ///   - onEnd: called once, after the last line.
    /// - Returns: nil if the program cannot be started; `onEnd` receives the reason.
    @discardableResult
    public static func start(
        _ program: Program, request: [UInt8] = [], onLine: @escaping @MainActor (String) -> Void = { _ in },
        onErrorLine: @escaping @MainActor (String) -> Void = { _ in },
        onEnd: @escaping @MainActor (ProcessEnd) -> Void
    ) -> ChildProcess? {
        // If the program ends before it has read everything, the write fails; SIGPIPE must not end this process.
        Signals.ignore(SIGPIPE)
        watchForEnds()
        do throws(SystemError) {
            let ends = try StreamEnds(program.streams)
            defer { ends.closeTheirs() }
            let pid = try Spawn.start(program, ends)
            let child = ChildProcess(pid, program, ends, onLine, onErrorLine, onEnd)
            running[pid] = child
            if !request.isEmpty { child.channels.first?.send(request, passing: ends.passed) }
            return child
        } catch {
            MainQueue.soon { onEnd(.couldNotStart("\(error)")) }
            return nil
        }
    }

    private init(
        _ pid: pid_t, _ program: Program, _ ends: StreamEnds, _ onLine: @escaping @MainActor (String) -> Void,
        _ onErrorLine: @escaping @MainActor (String) -> Void, _ onEnd: @escaping @MainActor (ProcessEnd) -> Void
    ) {
        self.pid = pid
        self.onEnd = onEnd
        ownsSession = !program.streams.shareSession
        var channels: [LineChannel] = []
        if let output = ends.output {
            channels.append(LineChannel(input: output, output: ends.input, onLine: onLine))
        }
        if let errors = ends.errors { channels.append(LineChannel(input: errors, onLine: onErrorLine)) }
        self.channels = channels
        if let limit = program.timeLimit {
            terminate(after: limit) { [weak self] in self?.hasTimedOut = true }
        }
    }

    /// Sends more bytes to its standard input.
    public func send(_ bytes: [UInt8]) { channels.first?.send(bytes) }

    /// Sends SIGTERM to the program itself, which decides when it ends.
    public func requestEnd() { forward(SIGTERM) }

    /// Sends a signal to the program itself.
    public func forward(_ number: CInt) { _ = kill(pid, number) }

    /// Sends SIGTERM, and SIGKILL two seconds later. `onEnd` is called as for any other end.
    public func terminate() { terminate(after: 0) {} }

    private func terminate(after seconds: Seconds, _ note: @escaping @MainActor () -> Void) {
        timers.append(
            Timer(after: seconds) { [weak self] in
                note()
                self?.signal(SIGTERM)
            })
        timers.append(Timer(after: seconds + Self.killDelay) { [weak self] in self?.signal(SIGKILL) })
    }

    /// The process has not been waited for yet, so its number cannot belong to another process.
    private func signal(_ number: CInt) { _ = kill(ownsSession ? -pid : pid, number) }

    // MARK: ends

    private static var running: [pid_t: ChildProcess] = [:]
    private static var isWatching = false

    /// The processes that were started here and have not ended.
    static var runningProcesses: Set<pid_t> { Set(running.keys) }

    static func watchForEnds() {
        guard !isWatching else { return }
        isWatching = true
        MainQueue.onSignal([SIGCHLD]) { _ in collectEnds() }
    }

    /// One SIGCHLD may report several ends (signal(7)). Only known children are waited for, because other code in this
    /// process may wait for its own children; if orphans become children too, all are.
    private static func collectEnds() {
        if Descendants.areAdopted {
            var status: CInt = 0
            while case let pid = waitpid(-1, &status, WNOHANG), pid > 0 {
                running.removeValue(forKey: pid)?.ended(status)
            }
            return
        }
        for child in running.values.sorted(by: { $0.pid < $1.pid }) {
            var status: CInt = 0
            guard waitpid(child.pid, &status, WNOHANG) == child.pid else { continue }
            running[child.pid] = nil
            child.ended(status)
        }
    }

    private func ended(_ status: CInt) {
        timers.forEach { $0.cancel() }
        timers = []
        channels.forEach { $0.finish() }
        onEnd(hasTimedOut ? .timedOut : ProcessEnd(waitStatus: status))
    }
}

extension Program.Streams {
    var shareSession: Bool {
        switch self {
        case .inherited, .errors, .filter: true
        case .pipes, .socket, .connection, .captured: false
        }
    }
}
