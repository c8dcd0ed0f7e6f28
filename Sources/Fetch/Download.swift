import CCurl
import Glibc
import Host
public import UpdateCore

public enum DownloadFailure: Error, Hashable, Sendable {
    case transientError(TransientError)
    /// A status that is neither success nor a redirect, with the start of the body; the caller decides what it means.
    case status(HTTPReply)
    /// The file is longer than the configuration permits.
    case refused(String)
    case noSpace(String)
    case cancelled

    static func file(_ text: String) -> DownloadFailure { .transientError(.file(text)) }
}

/// What the responses of one download brought.
public final class Traffic {
    /// Bytes of response bodies.
    public internal(set) var received: ByteCount = 0
    /// The size of the file; 0 if it is not known.
    public internal(set) var size: ByteCount = 0

    public init() {}
}

/// The download of one file. A later run resumes it after a lost connection, an end of the agent or a power cut.
///
/// If the complete file is verified, any bytes may be tried: the range of a server without validators, the continuation at
/// another address, the same file from another node of a CDN. A wrong piece is found by the verification, and the download
/// starts over. Without verification, only a range with the same validator is taken (`If-Range`).
public struct Download {
    private let job: DownloadJob
    private let url: WebURL
    private let path: String
    private let cancellation: Cancellation
    private let speedLimit: SpeedLimit
    private let traffic: Traffic

    private var isVerified: Bool { job.verification.mode != .none }

    /// - Parameter path: the partial file.
    public init(
        _ job: DownloadJob, url: WebURL, path: String, speedLimit: SpeedLimit, traffic: Traffic,
        cancellation: Cancellation
    ) {
        self.speedLimit = speedLimit
        self.job = job
        self.url = url
        self.path = path
        self.traffic = traffic
        self.cancellation = cancellation
    }

    /// A file that has been received to its end.
    public struct Received {
        /// Bytes.
        public var size: ByteCount
        /// Part of it is from an earlier run or from another response.
        public var isPieced: Bool
        /// The last response marked its end. Otherwise the file may have been cut.
        public var hasMarkedEnd: Bool
        /// Its first bytes, and the headers of the last response.
        public var start: [UInt8]
        public var headers: [String: String]
    }

    /// Downloads the file, or the rest of it.
    ///
    /// - Parameters:
    ///   - onBytes: called with every byte of the file in order, including the bytes of an earlier run.
    ///   - onRestart: called if bytes so far were wrong: all of them must be discarded, and the file comes again.
    ///   - onProgress: called at most twice a second.
    public func run(
        onBytes: (RawSpan) -> Void, onRestart: () -> Void, onProgress: (DownloadProgress) -> Void
    ) throws(DownloadFailure) -> Received {
        let part = try disk { () throws(SystemError) in
            try PartialFile(path, url: url.text, isVerified: isVerified)
        }
        let resumed = part.size > 0
        traffic.size = part.origin.total ?? part.size
        try requireSpace(for: part)
        try disk { () throws(SystemError) in try part.reread(onBytes) }
        let intake = withoutActuallyEscaping(onBytes) { onBytes in
            withoutActuallyEscaping(onRestart) { onRestart in
                Result { () throws(DownloadFailure) in
                    let intake = Intake(
                        job, url: url, part, traffic, isVerified: isVerified, onBytes: onBytes, onRestart: onRestart)
                    do throws(DownloadFailure) {
                        try fetch(part, intake, onProgress)
                    } catch {
                        // A later run can resume from the received bytes.
                        traffic.size = max(traffic.size, part.origin.total ?? part.size)
                        try? part.synchronize()
                        throw error
                    }
                    return (intake.responses, intake.headers, intake.hasMarkedEnd)
                }
            }
        }
        let (responses, headers, hasMarkedEnd) = try intake.get()
        try disk { () throws(SystemError) in try part.synchronize() }
        traffic.size = part.size
        part.file.finishWriteOut(from: 0, count: part.size, keepingCacheBefore: job.priority.cachedBytes)
        return Received(
            size: part.size, isPieced: resumed || responses > 1, hasMarkedEnd: hasMarkedEnd,
            start: try disk { () throws(SystemError) in try part.start() }, headers: headers)
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

    /// A download that ended because of a full disk is not worth a request before there is space for more.
    private func requireSpace(for part: PartialFile) throws(DownloadFailure) {
        guard let needed = part.freeNeeded else { return }
        let free = try disk { () throws(SystemError) in try Files.freeSpace(at: Files.directory(of: path)) }
        guard free < needed else { return }
        throw .noSpace(
            "\(describe(bytes: free)) are free in \(Files.directory(of: path)), and the download continues with "
                + "\(describe(bytes: needed)) (download.keepFree); free some space or set download.directory")
    }

    // MARK: the exchange

    private func fetch(
        _ part: PartialFile, _ intake: Intake, _ onProgress: (DownloadProgress) -> Void
    ) throws(DownloadFailure) {
        if part.isComplete { return }
        var trail = RedirectTrail(url)
        var wantsWhole = part.wantsWhole
        var meter = ProgressMeter(received: part.size)
        while true {
            intake.requestsRange = part.size > 0 && !wantsWhole && (isVerified || part.origin.validator != nil)
            let sizeBefore = part.size
            do throws(Transfer.Failure) {
                _ = try transfer.perform(
                    trail.url.text, headers: rangeHeaders(part, intake),
                    onHead: intake.head,
                    onBody: { bytes in
                        defer { meter.update(received: part.size, total: part.origin.total ?? 0).map(onProgress) }
                        return intake.body(bytes)
                    })
                intake.finish()
            } catch .stopped {
                // The verdict has the reason.
            } catch .cancelled {
                throw .cancelled
            } catch {
                if case .curl(let error) = error, error.code == CURLE_GOT_NOTHING { part.noteRefusal() }
                if case .status(let reply)? = intake.failure { throw .status(reply) }
                throw .transientError(transientError(error, tooLong: ""))
            }
            switch intake.verdict {
            case .redirect:
                try trail.follow(intake.reply)
                continue
            case .fail(let failure):
                part.noteRefusal()
                throw failure
            case .complete:
                meter.finish(received: part.size, total: part.size).map(onProgress)
                return
            case .rest where part.size > sizeBefore: wantsWhole = false
            case .rest, .whole:
                guard !wantsWhole else {
                    throw .file("the server sends no more than \(describe(bytes: part.size))")
                }
                wantsWhole = true
            case .takeBody: throw .file("the head of the reply does not end")
            }
            trail = RedirectTrail(url)
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

    private func rangeHeaders(_ part: PartialFile, _ intake: Intake) -> [(name: String, value: String)] {
        guard intake.requestsRange else { return [] }
        let range = [(name: "Range", value: "bytes=\(part.size)-")]
        guard !isVerified, let validator = part.origin.validator else { return range }
        return range + [(name: "If-Range", value: validator)]
    }

    private func disk<Value>(_ body: () throws(SystemError) -> Value) throws(DownloadFailure) -> Value {
        do throws(SystemError) { return try body() } catch { throw DownloadFailure(error) }
    }
}

extension DownloadFailure {
    init(_ error: SystemError) {
        self = error.isNoSpace ? .noSpace(error.description) : .transientError(.worker(error.description))
    }
}

extension PartialFile {
    /// Passes the bytes on from the start to the end.
    func reread(_ onBytes: (RawSpan) -> Void) throws(SystemError) {
        var buffer = [UInt8](repeating: 0, count: 256 * 1024)
        var offset: ByteCount = 0
        while offset < size {
            let count = Int(clamping: min(ByteCount(try file.read(into: &buffer, at: offset)), size - offset))
            guard count > 0 else { throw SystemError("read", file.path, code: EIO) }
            onBytes(buffer.span.extracting(first: count).bytes)
            offset += ByteCount(count)
        }
    }

    /// The first bytes.
    func start() throws(SystemError) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 2048)
        let count = try file.read(into: &buffer, at: 0)
        return Array(buffer.prefix(min(count, Int(clamping: size))))
    }
}
