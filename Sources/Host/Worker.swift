import Glibc
import Subprocess
import SystemPackage

/// How a process ended.
public enum ProcessEnd: Hashable, Sendable, CustomStringConvertible {
    case exited(CInt)
    case signalled(CInt)
    case timedOut
    case couldNotStart(String)

    public var succeeded: Bool { self == .exited(0) }

    public var description: String {
        switch self {
        case .exited(let status): "exit status \(status)"
        case .signalled(let signal): "ended by signal \(signal)"
        case .timedOut: "it took too long and was stopped"
        case .couldNotStart(let reason): "it cannot be started: \(reason)"
        }
    }

    init(_ status: TerminationStatus, timedOut: Bool) {
        self =
            switch status {
            case _ where timedOut: .timedOut
            case .exited(let code): .exited(code)
            case .signaled(let signal): .signalled(signal)
            }
    }
}

/// A process for one job: the request goes to its standard input, which then stays open for as long as the job is
/// wanted; reports come back as lines on its standard output.
public struct Worker: Sendable {
    public var executable: String
    public var arguments: [String]
    /// Stopped after this time, whatever it does.
    public var timeLimit: Duration

    public init(_ executable: String, _ arguments: [String] = [], timeLimit: Duration) {
        self.executable = executable
        self.arguments = arguments
        self.timeLimit = timeLimit
    }

    /// Runs the worker to its end. Cancelling the task ends it: by SIGTERM, after two seconds by SIGKILL.
    ///
    /// - Parameters:
    ///   - messages: what else it is told while it works, a line each.
    ///   - onLine: called for each line of output, in order, on the caller's actor.
    public func run(
        _ request: [UInt8], messages: AsyncStream<[UInt8]>? = nil, isolation: isolated (any Actor)? = #isolation,
        onLine: (String) -> Void
    ) async -> ProcessEnd {
        var options = PlatformOptions()
        options.teardownSequence = [.gracefulShutDown(allowedDurationToNextStep: .seconds(2))]
        options.processGroupID = 0
        let limit = Deadline(timeLimit)
        defer { limit.lift() }
        do {
            let result = try await Subprocess.run(
                .path(.init(executable)), arguments: .init(arguments), platformOptions: options,
                input: .inputWriter, output: .sequence, error: .currentStandardError
            ) { execution in
                // A closure belongs to an isolated parameter only where it captures it (SE-0420); without this line the
                // reports would come on any thread.
                _ = isolation
                limit.start { signal in try? execution.send(signal: .init(rawValue: signal)) }
                let writer = execution.standardInputWriter
                _ = try? await writer.write(request)
                let telling = Task(priority: .medium) {
                    for await message in messages ?? AsyncStream(unfolding: { nil }) {
                        _ = try? await writer.write(message)
                    }
                }
                defer { telling.cancel() }
                let lines = execution.standardOutput.strings(
                    bufferingPolicy: .maxLineLength(maximumLineLength))
                for try await line in lines { onLine(line) }
            }
            return ProcessEnd(result.terminationStatus, timedOut: limit.hasPassed)
        } catch {
            if limit.hasPassed { return .timedOut }
            return .couldNotStart("\(executable): \(error)")
        }
    }
}

let maximumLineLength = 512 * 1024
