import Glibc
import Host
public import UpdateCore

public enum DownloadFailure: Error, Hashable, Sendable {
    case trouble(Trouble)
    /// A status that is neither success nor a redirect: its meaning is the caller's to judge.
    case status(HTTPReply)
    case refused(String)
    case noSpace(String)
    case cancelled
}

/// One file, fetched to its end however often the connection, the agent or the box goes down in between.
public struct Download {
    private let job: DownloadJob
    private let url: WebURL
    private let path: String
    private let cancellation: Cancellation
    private let speedLimit: SpeedLimit

    /// Data that may be lost to a power cut.
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

    /// - Parameters:
    ///   - onBytes: sees every byte of the file in order, those of an earlier run included.
    ///   - onRestart: the file starts over; what was seen so far does not count.
    ///   - onProgress: called at most twice a second.
    /// - Returns: the file's size, and whether part of it is from an earlier run.
    public func run(
        onBytes: (RawSpan) -> Void, onRestart: () -> Void, onProgress: (DownloadProgress) -> Void
    ) throws(DownloadFailure) -> (size: Int, resumed: Bool) {
        let part = try disk { () throws(SystemError) in try PartialFile(path, url: url.text) }
        let resumed = part.size > 0
        try disk { () throws(SystemError) in try reread(part, onBytes) }
        do throws(DownloadFailure) {
            try fetch(part, onBytes, onRestart, onProgress)
        } catch {
            // Whatever happened, what is here is worth keeping.
            try? part.synchronize()
            throw error
        }
        try disk { () throws(SystemError) in try part.synchronize() }
        part.file.finishWriteOut(from: 0, count: part.size, keepCache: job.courtesy.keepCache)
        return (part.size, resumed)
    }

    /// Forgets what has been downloaded.
    public func discard() { PartialFile.discard(path) }

    /// Gives the finished file its final name; nothing remains of the partial one.
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
            let asksRange = part.size > 0
            var verdict = Verdict.takeBody
            var head = HTTPReply(status: 0)
            do throws(Transfer.Failure) {
                _ = try transfer.perform(
                    trail.url.text, headers: rangeHeaders(part),
                    onHead: { reply in
                        head = reply
                        verdict = judge(reply, part, asksRange: asksRange, onRestart)
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
                // The verdict says why.
            } catch .cancelled {
                throw .cancelled
            } catch {
                throw .trouble(trouble(error, tooLong: ""))
            }
            switch verdict {
            case .takeBody: throw .trouble(.unreadable("the head of the reply does not end"))
            case .fail(let failure): throw failure
            case .follow: try trail.follow(head)
            case .startOver(let why):
                guard !hasStartedOver else { throw .trouble(.unreadable(why)) }
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
        _ head: HTTPReply, _ part: PartialFile, asksRange: Bool, _ onRestart: () -> Void
    ) -> Verdict {
        if RedirectTrail.isRedirect(head) { return .follow }
        switch head.status {
        case 206 where asksRange:
            guard let range = ContentRange(head.headers["content-range"] ?? ""), range.first == part.size,
                range.total == part.origin.total ?? range.total, range.last == range.total - 1
            else { return .startOver("a wrong Content-Range (\(head.headers["content-range"] ?? "none"))") }
            let origin = Origin(head, url: url, total: range.total)
            guard origin.validator == nil || origin.validator == part.origin.validator else {
                return .startOver("a part of another file")
            }
            return prepare(part, Origin(url: url.text, validator: part.origin.validator, total: range.total))
        case 416 where asksRange:
            return .startOver("HTTP 416")
        case 200:
            if asksRange {
                // The file changed, or the server has no ranges.
                do throws(SystemError) { try part.startOver() } catch { return .fail(failure(error)) }
                onRestart()
            }
            if let encoding = head.headers["content-encoding"], encoding.lowercased() != "identity" {
                return .fail(
                    .trouble(.unreadable("Content-Encoding \(encoding.forPeople(limit: 40)) was not asked for")))
            }
            return prepare(part, Origin(head, url: url, total: head.headers["content-length"].flatMap { Int($0) }))
        case 206:
            return .fail(.trouble(.unreadable("HTTP 206 without a range having been asked for")))
        default:
            return .fail(.status(head))
        }
    }

    private typealias Origin = PartialFile.Origin

    /// The last checks before bytes are taken: size and space.
    private func prepare(_ part: PartialFile, _ origin: Origin) -> Verdict {
        if let total = origin.total, total > job.sizeLimit { return .fail(tooLarge(total)) }
        do throws(SystemError) {
            if let total = origin.total {
                let needed = total - part.size
                let free = try Files.freeSpace(at: Files.folder(of: path))
                guard needed + job.keepFree <= free else {
                    return .fail(
                        .noSpace(
                            "\(describe(bytes: needed)) more are needed in \(Files.folder(of: path)), "
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
            part.writeOut(job.courtesy)
            if part.unsynced >= Self.syncEvery {
                try part.synchronize()
                if part.origin.total == nil, try Files.freeSpace(at: Files.folder(of: path)) < job.keepFree {
                    return .noSpace(
                        "fewer than \(describe(bytes: job.keepFree)) are free in \(Files.folder(of: path)) "
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
        error.isNoSpace ? .noSpace(error.description) : .trouble(.worker(error.description))
    }
}

extension PartialFile.Origin {
    fileprivate init(_ head: HTTPReply, url: WebURL, total: Int?) {
        let tag = head.headers["etag"].flatMap { $0.hasPrefix("W/") ? nil : $0 }
        self.init(url: url.text, validator: tag ?? head.headers["last-modified"], total: total)
    }
}
