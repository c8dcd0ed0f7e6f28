import Glibc
import Subprocess
import SystemPackage

/// A program run to its end in a session of its own, its output read line by line.
///
/// The program has ended when its process has: what it left running in the background does not hold it up, even where
/// that still has its output open.
public struct Program: Sendable {
    public var path: String
    public var arguments: [String]
    public var workingDirectory: String
    /// By which it, and whatever it starts, is found again.
    public var mark: ProcessMark?
    public var timeLimit: Duration

    public init(
        _ path: String, _ arguments: [String], workingDirectory: String, mark: ProcessMark? = nil, timeLimit: Duration
    ) {
        self.path = path
        self.arguments = arguments
        self.workingDirectory = workingDirectory
        self.mark = mark
        self.timeLimit = timeLimit
    }

    public func run(
        onOutput: @escaping @Sendable (String) -> Void, onError: @escaping @Sendable (String) -> Void
    ) async -> ProcessEnd {
        let limit = Deadline(timeLimit)
        defer { limit.lift() }
        do {
            let (output, outputEnd) = try LineReader.pipe(onOutput)
            let (errors, errorEnd) = try LineReader.pipe(onError)
            defer {
                output.finish()
                errors.finish()
            }
            var options = PlatformOptions()
            options.createSession = true
            let result = try await Subprocess.run(
                .path(.init(path)), arguments: .init(arguments),
                environment: .inherit.updating(mark.map { [.init(stringLiteral: $0.name): $0.value] } ?? [:]),
                workingDirectory: .init(workingDirectory),
                platformOptions: options, input: .none,
                output: .fileDescriptor(.init(rawValue: outputEnd), closeAfterSpawningProcess: true),
                error: .fileDescriptor(.init(rawValue: errorEnd), closeAfterSpawningProcess: true)
            ) { execution in
                // The session's leader also leads its process group: what it started ends with it.
                let group = execution.processIdentifier.value
                limit.start { signal in kill(-group, signal) }
            }
            return ProcessEnd(result.terminationStatus, timedOut: limit.hasPassed)
        } catch {
            return .couldNotStart("\(path): \(error)")
        }
    }
}
