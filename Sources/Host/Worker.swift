import Glibc
public import UpdateCore

/// A process for one job: the request goes to its standard input, which then stays open for as long as the job is
/// wanted; reports come back as lines on its standard output.
public struct Worker: Sendable {
    /// What its standard input and output are.
    public enum Line: Sendable {
        /// Pipes, with these files as its descriptors 3 and so on. It is to end when its input does.
        case pipes(handing: [OpenFile])
        /// One socket for both, with this file passed along with the request. It goes on when its caller ends.
        case socket(passing: OpenFile?)
    }

    public var executable: String
    public var arguments: [String]
    public var line: Line
    /// Ended after this time, whatever it does.
    public var timeLimit: Seconds

    public init(_ executable: String, _ arguments: [String] = [], line: Line = .pipes(handing: []), timeLimit: Seconds)
    {
        self.executable = executable
        self.arguments = arguments
        self.line = line
        self.timeLimit = timeLimit
    }

    /// Starts the worker. Neither closure is called before this returns.
    ///
    /// - Parameters:
    ///   - onLine: hears each line of output, in order.
    ///   - onEnd: called once, after the last line.
    public func start(
        on loop: EventLoop, _ request: [UInt8], onLine: @escaping (String) -> Void,
        onEnd: @escaping (ProcessEnd) -> Void
    ) -> RunningWorker {
        // One that ends before it has read everything is an error to be heard of, not a signal to die of.
        ProcessGuard.ignoreBrokenPipes()
        let running = RunningWorker(loop, onEnd)
        do throws(SystemError) {
            try running.start(self, request, onLine)
        } catch {
            running.finish(.couldNotStart("\(executable): \(error)"))
        }
        return running
    }

    /// Runs the worker to its end, and waits for it.
    public func run(_ request: [UInt8]) -> (lines: [String], end: ProcessEnd) {
        var lines: [String] = []
        var end: ProcessEnd?
        do throws(SystemError) {
            let loop = try EventLoop()
            _ = start(on: loop, request, onLine: { lines.append($0) }, onEnd: { end = $0 })
            loop.run(while: { end == nil })
        } catch {
            end = .couldNotStart("\(executable): \(error)")
        }
        return (lines, end ?? .timedOut)
    }
}

/// A worker at its job.
public final class RunningWorker {
    private let loop: EventLoop
    private let onEnd: (ProcessEnd) -> Void
    private var pid: pid_t?
    private var channel: LineChannel?
    private var hasTimedOut = false
    private var timers: [EventLoop.Timer] = []
    private var isFinished = false

    /// Between a polite end and one by force, in seconds.
    private static let patience: Seconds = 2

    fileprivate init(_ loop: EventLoop, _ onEnd: @escaping (ProcessEnd) -> Void) {
        self.loop = loop
        self.onEnd = onEnd
    }

    fileprivate func start(
        _ worker: Worker, _ request: [UInt8], _ onLine: @escaping (String) -> Void
    )
        throws(SystemError)
    {
        let (theirInput, theirOutput, input, output): (CInt, CInt, CInt, CInt)
        var handed: [OpenFile] = []
        var passed: OpenFile?
        switch worker.line {
        case .pipes(let files):
            let (requests, reports) = (try Pipe.make(), try Pipe.make())
            (theirInput, output) = (requests.reading, requests.writing)
            (input, theirOutput) = (reports.reading, reports.writing)
            handed = files
        case .socket(let file):
            let (mine, theirs) = try LocalSocket.pair()
            (theirInput, theirOutput) = (theirs.duplicate(), theirs.duplicate())
            input = mine.duplicate()
            output = input
            passed = file
        }
        defer { [theirInput, theirOutput].forEach { close($0) } }
        // The worker waits for what it reads, and for room for what it writes.
        for descriptor in [theirInput, theirOutput] { _ = fcntl(descriptor, F_SETFL, 0) }
        // A worker is somebody's for as long as it runs: it holds itself until its end.
        let channel = LineChannel(loop, input: input, output: output, onLine: onLine) {
            // It has closed its output, which is what ending does first.
            self.collect(lookingAgainIn: 0.001)
        }
        self.channel = channel
        do throws(SystemError) {
            pid = try ChildProcess.spawn(
                worker.executable, worker.arguments, input: theirInput, output: theirOutput,
                descriptors: handed.map(\.descriptor))
        } catch {
            channel.close()
            throw error
        }
        end(after: worker.timeLimit) { self.hasTimedOut = true }
        channel.send(request, passing: passed)
    }

    /// Tells it more while it works.
    public func tell(_ bytes: [UInt8]) { channel?.send(bytes) }

    /// Ends it: by SIGTERM, after two seconds by SIGKILL. Its end is told as any other.
    public func stop() { end(after: 0) {} }

    private func end(after seconds: Seconds, _ note: @escaping () -> Void) {
        timers.append(
            loop.after(seconds) {
                note()
                self.send(SIGTERM)
            })
        timers.append(loop.after(seconds + Self.patience) { self.send(SIGKILL) })
    }

    private func send(_ signal: CInt) {
        if let pid { kill(pid, signal) }
    }

    private func collect(lookingAgainIn seconds: Seconds) {
        guard let pid else { return }
        if let end = ChildProcess.collect(pid) { return finish(hasTimedOut ? .timedOut : end) }
        timers.append(loop.after(seconds) { self.collect(lookingAgainIn: min(seconds * 2, 1)) })
    }

    fileprivate func finish(_ end: ProcessEnd) {
        guard !isFinished else { return }
        isFinished = true
        pid = nil
        timers.forEach { $0.cancel() }
        timers = []
        channel?.close()
        channel = nil
        loop.soon { self.onEnd(end) }
    }
}
