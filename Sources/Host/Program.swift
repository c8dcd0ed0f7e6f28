import Dispatch
import Glibc
import Subprocess
import Synchronization
import SystemPackage

/// A program run to its end in a session of its own, its output read line by line.
///
/// The program has ended when its process has: what it left running in the background does not hold it up, even where
/// that still has its output open.
public struct Program: Sendable {
    public var path: String
    public var arguments: [String]
    public var workingDirectory: String
    public var timeLimit: Duration

    public init(_ path: String, _ arguments: [String], workingDirectory: String, timeLimit: Duration) {
        self.path = path
        self.arguments = arguments
        self.workingDirectory = workingDirectory
        self.timeLimit = timeLimit
    }

    public func run(
        onOutput: @escaping @Sendable (String) -> Void, onError: @escaping @Sendable (String) -> Void
    ) async -> ProcessEnd {
        let limit = Deadline(timeLimit)
        defer { limit.lift() }
        do {
            let output = try LinePipe(onOutput)
            let errors = try LinePipe(onError)
            defer {
                output.finish()
                errors.finish()
            }
            var options = PlatformOptions()
            options.createSession = true
            let result = try await Subprocess.run(
                .path(.init(path)), arguments: .init(arguments), workingDirectory: .init(workingDirectory),
                platformOptions: options, input: .none,
                output: .fileDescriptor(output.writeEnd, closeAfterSpawningProcess: true),
                error: .fileDescriptor(errors.writeEnd, closeAfterSpawningProcess: true)
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

/// Reads a pipe line by line on a queue of its own; lines longer than 4 KiB are cut into pieces.
private final class LinePipe: Sendable {
    let writeEnd: SystemPackage.FileDescriptor
    private let readEnd: CInt
    private let queue = DispatchQueue(label: "lines")
    /// Dispatch sources may be used from any thread (dispatch_source_create(3)); their Swift type does not say so.
    nonisolated(unsafe) private let source: any DispatchSourceRead
    private let rest = Mutex<[UInt8]>([])
    private let onLine: @Sendable (String) -> Void

    init(_ onLine: @escaping @Sendable (String) -> Void) throws(SystemError) {
        let ends = try Pipe.make()
        readEnd = ends.reading
        writeEnd = .init(rawValue: ends.writing)
        self.onLine = onLine
        let source = DispatchSource.makeReadSource(fileDescriptor: ends.reading, queue: queue)
        self.source = source
        let descriptor = ends.reading
        source.setCancelHandler { close(descriptor) }
        source.setEventHandler { [weak self] in
            if self?.drain() == false { source.cancel() }
        }
        source.activate()
    }

    /// Takes what is there without waiting for the end of the pipe.
    func finish() {
        queue.sync {
            if !source.isCancelled { _ = drain() }
            let last = rest.withLock { rest in
                defer { rest = [] }
                return rest
            }
            if !last.isEmpty { onLine(String(decoding: last, as: UTF8.self)) }
            source.cancel()
        }
    }

    /// False once the pipe has ended.
    private func drain() -> Bool {
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(readEnd, &chunk, chunk.count)
            if count < 0 { return errno == EAGAIN || errno == EINTR }
            if count == 0 { return false }
            var lines: [String] = []
            rest.withLock { rest in
                for byte in chunk[..<count] {
                    if byte == 0x0A || rest.count >= 4096 {
                        lines.append(String(decoding: rest, as: UTF8.self))
                        rest = []
                    }
                    if byte != 0x0A { rest.append(byte) }
                }
            }
            lines.forEach(onLine)
        }
    }
}
