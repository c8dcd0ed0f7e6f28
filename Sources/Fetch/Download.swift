import Glibc
import Host
public import UpdateCore

public enum DownloadFailure: Error, Hashable, Sendable {
    case transientError(TransientError)
    /// A status that is neither success nor a redirect; the caller decides what it means.
    case status(HTTPReply)
    /// The file or the server breaks a rule: the size limit, or the rules of ``RedirectTrail``.
    case refused(String)
    case noSpace(String)
    case cancelled
}

/// The download of one file. A later run resumes it after a lost connection, an end of the agent or a power cut.
public struct Download {
    private let job: DownloadJob
    private let url: WebURL
    private let path: String
    private let cancellation: Cancellation
    private let speedLimit: SpeedLimit

    /// Bytes that a power cut may lose.
    private static let syncEvery = 32 << 20

    /// - Parameter path: the partial file.
    public init(
        _ job: DownloadJob, url: WebURL, path: String, speedLimit: SpeedLimit, cancellation: Cancellation
    ) {
        self.speedLimit = speedLimit
        self.job = job
        self.url = url
        self.path = path
        self.cancellation = cancellation
    }

    /// Downloads the file, or the rest of it.
    ///
    /// - Parameters:
    ///   - onBytes: called with every byte of the file in order, including the bytes of an earlier run.
    ///   - onRestart: called if the file starts over; the bytes so far must be discarded.
    ///   - onProgress: called at most twice a second.
    /// - Returns: the file's size in bytes, and whether part of it is from an earlier run.
    public func run(
        onBytes: (RawSpan) -> Void, onRestart: () -> Void, onProgress: (DownloadProgress) -> Void
    ) throws(DownloadFailure) -> (size: Int, resumed: Bool) {
        let part = try disk { () throws(SystemError) in try PartialFile(path, url: url.text) }
        let resumed = part.size > 0
        try disk { () throws(SystemError) in try reread(part, onBytes) }
        do throws(DownloadFailure) {
            try fetch(part, onBytes, onRestart, onProgress)
        } catch {
            // A later run can resume from the received bytes.
            try? part.synchronize()
            throw error
        }
        try disk { () throws(SystemError) in try part.synchronize() }
        part.file.finishWriteOut(from: 0, count: part.size, keepCache: job.priority.keepCache)
        return (part.size, resumed)
    }

    /// Removes the partial file and its note.
    public func discard() { PartialFile.discard(path) }

    /// Renames the finished file to its final name, and removes the note.
    public func finish(as finalPath: String) throws(DownloadFailure) {
        try disk { () throws(SystemError) in
            try Files.rename(path, to: finalPath)
            try Files.remove(path + ".json")
        }
    }

    private func reread(_ part: PartialFile, _ onBytes: (RawSpan) -> Void) throws(SystemError) {
        try part.file.seek(to: 0)
        var buffer = [UInt8](repeating: 0, count: 256 * 1024)
        var rest = part.size
        while rest > 0 {
            let count = min(try part.file.read(into: &buffer), rest)
            guard count > 0 else { throw SystemError("read", path, code: EIO) }
            onBytes(buffer.span.extracting(first: count).bytes)
            rest -= count
        }
        try part.file.seek(to: part.size)
    }

    // MARK: the exchange

    /// What the head of a reply means for the partial file.
    private enum Verdict {
        case takeBody
        case follow
        case startOver(String)
        case fail(DownloadFailure)
    }

    private func fetch(
        _ part: PartialFile, _ onBytes: (RawSpan) -> Void, _ onRestart: () -> Void,
        _ onProgress: (DownloadProgress) -> Void
    ) throws(DownloadFailure) {
        if part.isComplete { return }
        var trail = RedirectTrail(url)
        var hasStartedOver = false
        var meter = ProgressMeter(received: part.size)
        while true {
            let requestsRange = part.size > 0
            var verdict = Verdict.takeBody
            var head = HTTPReply(status: 0)
            do throws(Transfer.Failure) {
                _ = try transfer.perform(
                    trail.url.text, headers: rangeHeaders(part),
                    onHead: { reply in
                        head = reply
                        verdict = judge(reply, part, requestsRange: requestsRange, onRestart)
                        guard case .takeBody = verdict else { return false }
                        return true
                    },
                    onBody: { bytes in
                        if let failure = take(bytes, into: part) {
                            verdict = .fail(failure)
                            return false
                        }
                        onBytes(bytes)
                        meter.update(received: part.size, total: part.origin.total ?? 0).map(onProgress)
                        return true
                    })
                meter.finish(received: part.size, total: part.origin.total ?? 0).map(onProgress)
                return
            } catch .stopped {
                // The verdict has the reason.
            } catch .cancelled {
                throw .cancelled
            } catch {
                throw .transientError(transientError(error, tooLong: ""))
            }
            switch verdict {
            case .takeBody: throw .transientError(.unreadable("the head of the reply does not end"))
            case .fail(let failure): throw failure
            case .follow: try trail.follow(head)
            case .startOver(let why):
                guard !hasStartedOver else { throw .transientError(.unreadable(why)) }
                hasStartedOver = true
                try disk { () throws(SystemError) in try part.startOver() }
                onRestart()
            }
        }
    }

    private var transfer: Transfer {
        Transfer(
            connection: job.connection,
            limits: .init(
                connectTimeout: job.connection.connectTimeout, speedLimit: speedLimit, lowSpeed: job.lowSpeed,
                lowSpeedTime: job.lowSpeedTime),
            cancellation: cancellation)
    }

    private func rangeHeaders(_ part: PartialFile) -> [(name: String, value: String)] {
        guard part.size > 0, let validator = part.origin.validator else { return [] }
        return [(name: "Range", value: "bytes=\(part.size)-"), (name: "If-Range", value: validator)]
    }

    private func judge(
        _ head: HTTPReply, _ part: PartialFile, requestsRange: Bool, _ onRestart: () -> Void
    ) -> Verdict {
        if RedirectTrail.isRedirect(head) { return .follow }
        switch head.status {
        case 206 where requestsRange:
            guard let range = ContentRange(head.headers["content-range"] ?? ""), range.first == part.size,
                range.total == part.origin.total ?? range.total, range.last == range.total - 1
            else { return .startOver("a wrong Content-Range (\(head.headers["content-range"] ?? "none"))") }
            let origin = Origin(head, url: url, total: range.total)
            guard origin.validator == nil || origin.validator == part.origin.validator else {
                return .startOver("a part of another file")
            }
            return prepare(part, Origin(url: url.text, validator: part.origin.validator, total: range.total))
        case 416 where requestsRange:
            return .startOver("HTTP 416")
        case 200:
            if requestsRange {
                // The file has changed, or the server does not support ranges.
                do throws(SystemError) { try part.startOver() } catch { return .fail(failure(error)) }
                onRestart()
            }
            if let encoding = head.headers["content-encoding"], encoding.lowercased() != "identity" {
                return .fail(
                    .transientError(.unreadable("Content-Encoding \(encoding.sanitized(limit: 40)) was not requested")))
            }
            return prepare(part, Origin(head, url: url, total: head.headers["content-length"].flatMap { Int($0) }))
        case 206:
            return .fail(.transientError(.unreadable("HTTP 206 without a requested range")))
        default:
            return .fail(.status(head))
        }
    }

    private typealias Origin = PartialFile.Origin

    /// Checks the size limit and the disk space before the body is received.
    private func prepare(_ part: PartialFile, _ origin: Origin) -> Verdict {
        if let total = origin.total, total > job.sizeLimit { return .fail(tooLarge(total)) }
        do throws(SystemError) {
            if let total = origin.total {
                let needed = total - part.size
                let free = try Files.freeSpace(at: Files.directory(of: path))
                guard needed + job.keepFree <= free else {
                    return .fail(
                        .noSpace(
                            "\(describe(bytes: needed)) more are needed in \(Files.directory(of: path)), "
                                + "\(describe(bytes: free)) are free and \(describe(bytes: job.keepFree)) "
                                + "must stay so (download.keepFree)"))
                }
                try part.reserve(total)
            }
            try part.begin(origin)
            return .takeBody
        } catch {
            return .fail(failure(error))
        }
    }

    private func take(_ bytes: RawSpan, into part: PartialFile) -> DownloadFailure? {
        guard part.size + bytes.byteCount <= job.sizeLimit else { return tooLarge(part.size + bytes.byteCount) }
        do throws(SystemError) {
            try part.append(bytes)
            part.writeOut(job.priority)
            if part.unsynced >= Self.syncEvery {
                try part.synchronize()
                if part.origin.total == nil, try Files.freeSpace(at: Files.directory(of: path)) < job.keepFree {
                    return .noSpace(
                        "fewer than \(describe(bytes: job.keepFree)) are free in \(Files.directory(of: path)) "
                            + "(download.keepFree)")
                }
            }
            return nil
        } catch {
            return failure(error)
        }
    }

    private func tooLarge(_ size: Int) -> DownloadFailure {
        .refused(
            "the file has \(describe(bytes: size)) or more, download.sizeLimit is \(describe(bytes: job.sizeLimit))")
    }

    // MARK: the disk

    private func disk<Value>(_ body: () throws(SystemError) -> Value) throws(DownloadFailure) -> Value {
        do throws(SystemError) { return try body() } catch { throw failure(error) }
    }

    private func failure(_ error: SystemError) -> DownloadFailure {
        error.isNoSpace ? .noSpace(error.description) : .transientError(.worker(error.description))
    }
}

extension PartialFile.Origin {
    fileprivate init(_ head: HTTPReply, url: WebURL, total: Int?) {
        let tag = head.headers["etag"].flatMap { $0.hasPrefix("W/") ? nil : $0 }
        self.init(url: url.text, validator: tag ?? head.headers["last-modified"], total: total)
    }
}
