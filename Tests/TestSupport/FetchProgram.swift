public import Host
import Subprocess
import SystemPackage
public import UpdateCore

/// Runs the real `upgradelink-fetch`.
public struct FetchProgram: Sendable {
    public init() {}

    /// - Parameters:
    ///   - memory: the limit of its private memory in KiB (RLIMIT_DATA, setrlimit(2)).
    ///   - libraries: the directory that is searched first for its libraries.
    /// - Returns: all reports; the last one is the result of the job.
    public func run(
        _ job: FetchJob, timeLimit: Seconds = 60, memory: Int? = nil, libraries: String? = nil
    ) async throws -> (reports: [FetchReport], end: ProcessEnd) {
        let program = "\(programsDirectory)/upgradelink-fetch"
        // A sanitizer needs more memory.
        let limit = hasSanitizer ? nil : memory
        let preparations =
            [limit.map { "ulimit -d \($0)" }, libraries.map { "export LD_LIBRARY_PATH=\($0)" }].compactMap(\.self)
        let command =
            preparations.isEmpty
            ? [program] : ["/bin/sh", "-c", (preparations + ["exec \"$0\""]).joined(separator: "; "), program]
        let worker = Program(command[0], Array(command.dropFirst()), streams: .pipes(), timeLimit: timeLimit)
        let (lines, _, end) = await worker.run(try JSONLine.encode(job))
        return (lines.compactMap { try? JSONLine.decode(FetchReport.self, from: Array($0.utf8)) }, end)
    }

    /// Runs a job, and kills the worker at the first report that the caller waits for.
    public func kill(_ job: FetchJob, when isTheMoment: @Sendable (FetchReport) -> Bool) async throws -> ProcessEnd {
        let request = try JSONLine.encode(job)
        let result = try await Subprocess.run(
            .path(FilePath("\(programsDirectory)/upgradelink-fetch")), input: .inputWriter, output: .sequence,
            error: .discarded
        ) { execution in
            _ = try await execution.standardInputWriter.write(request)
            for try await line in execution.standardOutput.strings() {
                guard let report = try? JSONLine.decode(FetchReport.self, from: Array(line.utf8)), isTheMoment(report)
                else { continue }
                try execution.send(signal: .kill)
            }
        }
        return switch result.terminationStatus {
        case .exited(let status): .exited(status)
        case .signaled(let signal): .signalled(signal)
        }
    }

    public func download(_ job: DownloadJob, timeLimit: Seconds = 60) async throws -> DownloadResult? {
        guard case .downloaded(let result, _)? = try await run(.download(job), timeLimit: timeLimit).reports.last else {
            return nil
        }
        return result
    }

    public func check(_ job: CheckJob) async throws -> CheckReport? {
        guard case .checked(let report)? = try await run(.check(job)).reports.last else { return nil }
        return report
    }
}

extension Program {
    /// Runs the program to its end.
    @MainActor public func run(
        _ request: [UInt8] = [], onLine: @escaping @MainActor (String, ChildProcess?) -> Void = { _, _ in }
    ) async -> (lines: [String], errors: [String], end: ProcessEnd) {
        var lines: [String] = []
        var errors: [String] = []
        var child: ChildProcess?
        let end = await withCheckedContinuation { continuation in
            child = ChildProcess.start(
                self, request: request,
                onLine: { line in
                    lines.append(line)
                    onLine(line, child)
                }, onErrorLine: { errors.append($0) }, onEnd: { continuation.resume(returning: $0) })
        }
        return (lines, errors, end)
    }
}
