import Dispatch
import Glibc
import Subprocess
import SystemPackage

/// A process for one job, whose standard input and output are a socket: files can be handed to it. It goes on when the
/// caller ends.
struct SocketWorker: Sendable {
    let path: String
    let arguments: [String]
    let timeLimit: Duration

    /// - Returns: the caller's end of the socket, and how the process ends.
    func start() throws(SystemError) -> (socket: LocalSocket, end: Task<ProcessEnd, Never>) {
        let (mine, theirs) = try LocalSocket.pair()
        // The process gets copies, which are closed here once it runs; the original goes with this function.
        let input = theirs.duplicate()
        let output = theirs.duplicate()
        return (mine, Task(priority: .medium) { await run(input, output) })
    }

    private func run(_ input: CInt, _ output: CInt) async -> ProcessEnd {
        let limit = Deadline(timeLimit)
        defer { limit.lift() }
        var options = PlatformOptions()
        options.processGroupID = 0
        do {
            let result = try await Subprocess.run(
                .path(.init(path)), arguments: .init(arguments), platformOptions: options,
                input: .fileDescriptor(.init(rawValue: input), closeAfterSpawningProcess: true),
                output: .fileDescriptor(.init(rawValue: output), closeAfterSpawningProcess: true),
                error: .currentStandardError
            ) { execution in
                limit.start { signal in try? execution.send(signal: .init(rawValue: signal)) }
            }
            return ProcessEnd(result.terminationStatus, timedOut: limit.hasPassed)
        } catch {
            return .couldNotStart("\(path): \(error)")
        }
    }
}

extension Worker {
    /// Runs the worker to its end with a socket as its standard input and output, and hands it a file.
    ///
    /// - Parameter onLine: called for each line of output, in order, on the caller's actor.
    public func run(
        _ request: [UInt8], passing file: OpenFile, isolation: isolated (any Actor)? = #isolation,
        onLine: (String) -> Void
    ) async -> ProcessEnd {
        do throws(SystemError) {
            let worker = SocketWorker(path: executable, arguments: arguments, timeLimit: timeLimit)
            let (socket, end) = try worker.start()
            await socket.converse(request, passing: file, timeLimit: timeLimit, onLine: onLine)
            return await end.value
        } catch {
            return .couldNotStart("\(executable): \(error)")
        }
    }
}

extension LocalSocket {
    /// Sends a request, and hears what comes back until the other end closes, or the time is over.
    ///
    /// - Parameter onLine: called for each line, in order, on the caller's actor.
    func converse(
        _ request: [UInt8], passing file: OpenFile?, timeLimit: Duration,
        isolation: isolated (any Actor)? = #isolation, onLine: (String) -> Void
    ) async {
        // A long request waits for its reader, whose process needs one of the few threads that tasks have.
        await withCheckedContinuation { continuation in
            DispatchQueue(label: "send").async { [self] in
                // Where the other end is gone, whatever it said before is still to be heard.
                try? send(request, passing: file)
                continuation.resume()
            }
        }
        let (lines, continuation) = AsyncStream<String>.makeStream()
        let reader = LineReader(
            descriptor: duplicate(), limit: maximumLineLength, onEnd: { continuation.finish() }
        ) { continuation.yield($0) }
        let timer = Alarm(after: timeLimit) { continuation.finish() }
        defer {
            timer.cancel()
            reader.finish()
        }
        for await line in lines { onLine(line) }
    }
}
