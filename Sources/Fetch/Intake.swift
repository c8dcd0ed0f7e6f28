import Host
import UpdateCore

/// Takes the responses to the requests for one file into the partial file.
///
/// A response that sends the file from its start, because the server knows no ranges, is compared with the bytes that are there.
/// They stay as long as they are equal, and as long as the response is no web page.
final class Intake {
    enum Verdict {
        case takeBody
        case redirect
        /// The file is complete.
        case complete
        /// The response ended before the file: request the rest.
        case rest
        /// Request the whole file, without a range.
        case whole
        case fail(DownloadFailure)
    }

    private let job: DownloadJob
    private let url: WebURL
    private let part: PartialFile
    private let traffic: Traffic
    private let isVerified: Bool
    private let onBytes: (RawSpan) -> Void
    private let onRestart: () -> Void

    /// The request that is answered next is for a range.
    var requestsRange = false
    private(set) var verdict = Verdict.takeBody
    private(set) var reply = HTTPReply(status: 0)
    /// The responses whose body was taken.
    private(set) var responses = 0
    private(set) var hasMarkedEnd = true

    /// The offset of the next byte in the file.
    private var position: ByteCount = 0
    /// The size of the file by this response; nil if it does not tell.
    private var total: ByteCount?
    /// The size of the file by a response to a request for a range. A filter does not answer those in this way.
    private var confirmedTotal: ByteCount?
    /// No byte behind this offset belongs to the file.
    private var bound = ByteCount.max
    /// The partial file is noted to be from this response.
    private var hasBegun = false
    /// The first bytes of this response's body.
    private var start: [UInt8] = []
    private var space: DiskSpace
    private let keepCache: ByteCount
    private var isOverrun = false

    /// Bytes that a power cut may lose.
    private static let syncEvery: ByteCount = 32 << 20
    private static let startLimit = 2048

    init(
        _ job: DownloadJob, url: WebURL, _ part: PartialFile, _ traffic: Traffic, isVerified: Bool,
        onBytes: @escaping (RawSpan) -> Void, onRestart: @escaping () -> Void
    ) {
        (self.job, self.url, self.part, self.traffic, self.isVerified) = (job, url, part, traffic, isVerified)
        (self.onBytes, self.onRestart) = (onBytes, onRestart)
        space = DiskSpace(part, keepFree: job.keepFree, installation: job.space ?? [])
        keepCache = job.priority.cachedBytes
    }

    var headers: [String: String] { reply.headers }
    var failure: DownloadFailure? { if case .fail(let failure) = verdict { failure } else { nil } }

    // MARK: the head

    /// - Returns: whether the body is wanted.
    func head(_ reply: HTTPReply) -> Bool {
        self.reply = reply
        (position, total, hasBegun, start, isOverrun) = (0, nil, false, [], false)
        verdict = judge(reply)
        switch verdict {
        case .takeBody: return true
        // The body may say why.
        case .fail(.status): return true
        case .redirect, .complete, .rest, .whole, .fail: return false
        }
    }

    private func judge(_ reply: HTTPReply) -> Verdict {
        if RedirectTrail.isRedirect(reply) { return .redirect }
        let range = reply.headers["content-range"].flatMap { ContentRange($0) }
        switch (reply.status, range) {
        case (206, .range(let first, _, let total)?):
            return judgeRange(first, total ?? part.origin.total)
        case (206, _):
            return requestsRange ? .whole : .fail(.file("HTTP 206 without a usable Content-Range"))
        case (416, .unsatisfied(let total)?) where requestsRange && total != part.size:
            confirmedTotal = total
            return .whole
        case (416, _) where requestsRange && isVerified:
            // There is nothing behind these bytes. If they are not the file, the verification says so.
            return ended(at: part.size)
        case (416, _) where requestsRange:
            return .whole
        case (200, _), (203, _):
            return begins(
                at: 0, reply.headers["content-length"].flatMap { ByteCount($0) }.flatMap { $0 < 0 ? nil : $0 })
        default:
            return .fail(.status(reply))
        }
    }

    private func judgeRange(_ first: ByteCount, _ total: ByteCount?) -> Verdict {
        guard first <= part.size, total ?? ByteCount.max >= part.size,
            total == part.origin.total || part.origin.total == nil
        else {
            confirmedTotal = total
            return .whole
        }
        if !isVerified {
            let validator = PartialFile.Origin(reply, url: url, total: nil).validator
            guard first == part.size, validator == nil || validator == part.origin.validator else { return .whole }
        }
        return begins(at: first, total)
    }

    private func begins(at first: ByteCount, _ total: ByteCount?) -> Verdict {
        self.total = total
        bound = total ?? part.origin.total ?? ByteCount.max
        position = first
        if let total, total > job.sizeLimit { return .fail(tooLarge(total)) }
        if let total, let failure = space.missing(for: total) { return .fail(failure) }
        if position == part.size, let failure = begin() { return .fail(failure) }
        return .takeBody
    }

    /// The bytes that follow are new.
    private func begin() -> DownloadFailure? {
        hasBegun = true
        responses += 1
        do throws(SystemError) {
            if let total { try part.reserve(total) }
            var origin = PartialFile.Origin(reply, url: url, total: total)
            if reply.status == 206 { origin.validator = origin.validator ?? part.origin.validator }
            try part.begin(origin)
            return nil
        } catch {
            return DownloadFailure(error)
        }
    }

    // MARK: the body

    /// - Returns: whether more is wanted.
    func body(_ bytes: RawSpan) -> Bool {
        traffic.received += ByteCount(bytes.byteCount)
        if start.count < Self.startLimit {
            bytes.extracting(first: min(bytes.byteCount, Self.startLimit - start.count)).withUnsafeBytes {
                start.append(contentsOf: $0)
            }
        }
        if case .fail(.status(var reply)) = verdict {
            reply.body = start
            verdict = .fail(.status(reply))
            return start.count < Self.startLimit
        }
        guard let failure = take(bytes) else {
            // The server sends more than the file has.
            if isOverrun { verdict = ended(at: part.size) }
            return !isOverrun
        }
        verdict = .fail(failure)
        return false
    }

    private func take(_ bytes: RawSpan) -> DownloadFailure? {
        var rest = bytes
        do throws(SystemError) {
            if position < part.size {
                let known = rest.extracting(first: min(rest.byteCount, Int(clamping: part.size - position)))
                let matched = try part.matching(known, at: position)
                position += ByteCount(matched)
                rest = rest.extracting(droppingFirst: matched)
                if matched < known.byteCount, let failure = try differ() { return failure }
                if rest.byteCount == 0 { return nil }
            }
        } catch {
            return DownloadFailure(error)
        }
        if !hasBegun, let failure = begin() { return failure }
        return append(rest)
    }

    /// The response is not the file that the partial file is from.
    private func differ() throws(SystemError) -> DownloadFailure? {
        if isWebPage(start, reply.headers) {
            let line = describeContent(start, reply.headers, of: "file") ?? "got a web page instead of the file"
            return .transientError(.file(line, code: .contentUnexpected))
        }
        if !isReplacement(total) { return .file(another()) }
        bound = total ?? ByteCount.max
        try part.shorten(to: position)
        onRestart()
        try part.reread(onBytes)
        return nil
    }

    /// Whether a file of this size, whose content is another one, replaces the part.
    private func isReplacement(_ total: ByteCount?) -> Bool {
        if let total, total == part.origin.total || total == confirmedTotal { return true }
        return part.isReplaced(byTotal: total)
    }

    private func another() -> String {
        let sizes = total.map { " of \(describe(bytes: $0))" } ?? ""
        let known = part.origin.total.map { ", and the file has \(describe(bytes: $0))" } ?? ""
        return "the response\(sizes) is not the file that was begun\(known)\(beginning(start))"
    }

    private func append(_ all: RawSpan) -> DownloadFailure? {
        let bytes = all.extracting(first: min(all.byteCount, Int(clamping: bound - part.size)))
        isOverrun = bytes.byteCount < all.byteCount
        let count = ByteCount(bytes.byteCount)
        guard part.size + count <= job.sizeLimit else { return tooLarge(part.size + count) }
        do throws(SystemError) {
            if let failure = try space.exhausted(by: count) { return failure }
            try part.append(bytes)
            position += count
            onBytes(bytes)
            part.writeOut(job.priority, keepCache: keepCache)
            if part.unsynced >= Self.syncEvery { try part.synchronize() }
            return nil
        } catch {
            return DownloadFailure(error)
        }
    }

    private func tooLarge(_ size: ByteCount) -> DownloadFailure {
        .refused(
            "the file has \(describe(bytes: size)) or more, download.sizeLimit is \(describe(configuredSize: job.sizeLimit))"
        )
    }

    // MARK: the end

    /// The response has ended without an error.
    func finish() {
        guard case .takeBody = verdict else { return }
        do throws(SystemError) {
            if position < part.size {
                // All bytes of the response are those of the file, but there are fewer.
                guard position > 0, reply.hasMarkedEnd else {
                    verdict = .fail(.file("the response ended after \(describe(bytes: position))"))
                    return
                }
                if reply.status == 206 {
                    verdict = .rest
                    return
                }
                if !isReplacement(position) {
                    verdict = .fail(.file(another()))
                    return
                }
                let end = position
                try part.shorten(to: end)
                onRestart()
                try part.reread(onBytes)
            }
            if !hasBegun, let failure = begin() {
                verdict = .fail(failure)
                return
            }
        } catch {
            verdict = .fail(DownloadFailure(error))
            return
        }
        if let total, part.size < total {
            verdict = .rest
        } else {
            // The end of a range is marked, but without a total it need not be the end of the file.
            hasMarkedEnd = total != nil || reply.hasMarkedEnd && reply.status != 206 || part.unmarkedEnd == part.size
            verdict = ended(at: part.size)
        }
    }

    private func ended(at size: ByteCount) -> Verdict {
        do throws(SystemError) {
            try part.end(at: hasMarkedEnd ? size : nil, unmarkedEnd: hasMarkedEnd ? nil : size)
            return .complete
        } catch {
            return .fail(DownloadFailure(error))
        }
    }
}

extension DownloadPriority {
    /// ``keepCache``, or what is right for this process.
    var cachedBytes: ByteCount { keepCache ?? Memory.limit / 4 }
}

extension PartialFile.Origin {
    init(_ head: HTTPReply, url: WebURL, total: ByteCount?) {
        let tag = head.headers["etag"].flatMap { $0.hasPrefix("W/") ? nil : $0 }
        self.init(url: url.text, validator: tag ?? head.headers["last-modified"], total: total)
    }
}
