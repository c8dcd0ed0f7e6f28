import Fetch
import Glibc
import Host
import UpdateCore
import UpgradeLinkAPI
import Verification

/// Downloads the signature, then the file, and renames the verified file to its final name.
struct DownloadWorker {
    private let job: DownloadJob
    private let reporter: Reporter
    private let cancellation: Cancellation
    private let speedLimit: SpeedLimit
    private let traffic = Traffic()
    private var offer: Offer { job.offer }

    init(_ job: DownloadJob, _ reporter: Reporter, _ speedLimit: SpeedLimit, _ cancellation: Cancellation) {
        self.job = job
        self.reporter = reporter
        self.speedLimit = speedLimit
        self.cancellation = cancellation
    }

    private var base: String { "\(job.directory)/\(offer.versionCode)" }
    private var artifactPath: String { "\(job.directory)/\(Artifact.stagedName(versionCode: offer.versionCode))" }
    private var sidecarPath: String { base + ".sidecar" }

    func run() -> FetchReport {
        let result = download()
        return .downloaded(result, DownloadTraffic(received: traffic.received, size: traffic.size))
    }

    private func download() -> DownloadResult {
        do {
            guard let url = WebURL(offer.urlPath) else {
                return .refused("its address is not a URL", code: .offerInvalid)
            }
            try Files.createDirectory(job.directory)
            let claim = try claimDirectory()
            defer { withExtendedLifetime(claim) {} }
            try Files.removeUnlessRegular(sidecarPath)
            let verifier = try ArtifactVerifier(job.verification)
            let sidecar = try fetchSidecar(verifier)
            let expectation = {
                try verifier.expectation(sidecar: sidecar, offer: offer, devModelKey: job.devModelKey)
            }
            if let artifact = try finishedBefore(try expectation()) { return .verified(artifact) }
            return try fetchArtifact(url, sidecar, expectation)
        } catch let failure as VerificationFailure {
            return .refused("\(failure)", code: failure.code)
        } catch let failure as DownloadFailure {
            return DownloadResult(failure, of: "file")
        } catch let failure as SidecarFailure {
            return failure.result
        } catch let error as SystemError {
            return error.isNoSpace ? .noSpace("\(error)") : .transientError(.worker("\(error)"))
        } catch {
            return .transientError(.worker("\(error)"))
        }
    }

    /// In seconds: a worker that is told to end needs a second, and the time for a last sync.
    private static let patience: Seconds = 30

    /// Locks the directory (flock(2)): a worker that has outlived its agent still writes to the partial file for a moment.
    private func claimDirectory() throws -> OpenFile {
        let directory = try OpenFile(job.directory, O_RDONLY | O_DIRECTORY)
        let start = Clock.bootTime
        while flock(directory.descriptor, LOCK_EX | LOCK_NB) != 0 {
            // A file system may have no locks.
            guard errno == EWOULDBLOCK || errno == EINTR else { break }
            if cancellation.isCancelled { throw DownloadFailure.cancelled }
            guard Clock.bootTime - start < Self.patience else {
                throw DownloadFailure.transientError(.worker("another download still writes to \(job.directory)"))
            }
            usleep(20_000)
        }
        return directory
    }

    // MARK: the signature

    private struct SidecarFailure: Error { let result: DownloadResult }

    private func fetchSidecar(_ verifier: ArtifactVerifier) throws -> [UInt8]? {
        guard let url = try verifier.sidecarURL(for: offer) else { return nil }
        let client = HTTPClient(job.connection, cancellation: cancellation)
        do throws(DownloadFailure) {
            let reply = try client.get(url, limit: maximumSidecarBytes, name: "signature")
            guard (200..<300).contains(reply.status), reply.status < 204 || !reply.body.isEmpty else {
                throw .status(reply)
            }
            if let line = describeContent(reply.body, reply.headers, of: "signature"), !reply.isMinisign {
                throw .transientError(.file(line, code: .contentUnexpected))
            }
            return reply.body
        } catch {
            throw SidecarFailure(result: DownloadResult(error, of: "signature"))
        }
    }

    // MARK: the file

    /// The artifact of an earlier run that ended after the rename and before its report; nil if there is none.
    private func finishedBefore(_ expectation: ArtifactVerifier.Expectation) throws -> Artifact? {
        try Files.removeUnlessRegular(artifactPath)
        guard Files.exists(artifactPath) else { return nil }
        let file: OpenFile
        do throws(SystemError) {
            file = try Files.open(artifactPath)
        } catch {
            // An installer that was interrupted may have left it so that only root can read it.
            guard error.isNotPermitted else { throw error }
            try Files.remove(artifactPath)
            return nil
        }
        guard try file.size <= job.sizeLimit else {
            try Files.remove(artifactPath)
            return nil
        }
        var buffer = [UInt8](repeating: 0, count: 256 * 1024)
        while true {
            let count = try file.read(into: &buffer)
            if count == 0 { break }
            expectation.digest?.add(buffer.span.extracting(first: count).bytes)
        }
        guard (try? expectation.verify()) != nil else {
            try Files.remove(artifactPath)
            return nil
        }
        return try artifact(size: try file.size)
    }

    private func fetchArtifact(
        _ url: WebURL, _ sidecar: [UInt8]?, _ expect: () throws -> ArtifactVerifier.Expectation
    ) throws -> DownloadResult {
        let download = Download(
            job, url: url, path: base + ".part", speedLimit: speedLimit, traffic: traffic, cancellation: cancellation)
        var hasStartedOver = false
        while true {
            let expectation = try expect()
            let received = try download.run(
                onBytes: { expectation.digest?.add($0) },
                onRestart: { expectation.digest?.restart() },
                onProgress: { reporter.send(.progress($0)) })
            do {
                try expectation.verify()
            } catch {
                let content = describeContent(received.start, received.headers, of: "file")
                if !received.hasMarkedEnd, !isWebPage(received.start, received.headers), received.size > 0 {
                    return .transientError(
                        .file(
                            "the response may have been cut after \(describe(bytes: received.size)): it has no length"))
                }
                download.discard()
                // One of the pieces may be wrong: download the whole file once more.
                if received.isPieced, !hasStartedOver {
                    hasStartedOver = true
                    reporter.send(.note("A resumed download is not what was signed; it starts over: \(error)"))
                    continue
                }
                if let content { return .transientError(.file(content, code: .contentUnexpected)) }
                return .refused("\(error)\(beginning(received.start))", code: error.code)
            }
            if let sidecar { try Files.replace(sidecarPath, with: sidecar) }
            try download.finish(as: artifactPath)
            return .verified(try artifact(size: received.size))
        }
    }

    private func artifact(size: ByteCount) throws -> Artifact {
        Artifact(path: artifactPath, sidecarPath: job.verification.mode == .none ? nil : sidecarPath, size: size)
    }
}

extension HTTPReply {
    /// It is a signature, whatever its headers say.
    fileprivate var isMinisign: Bool { (try? MinisignSignature(body)) != nil }
}

extension DownloadResult {
    fileprivate init(_ failure: DownloadFailure, of name: String) {
        self =
            switch failure {
            case .transientError(let transientError): .transientError(transientError)
            case .refused(let reason): .refused(reason, code: .fileTooLarge)
            case .noSpace(let reason): .noSpace(reason)
            case .cancelled: .transientError(.network("cancelled"))
            case .status(let reply): Self(status: reply, of: name)
            }
    }

    private init(status reply: HTTPReply, of name: String) {
        let retryAfter = reply.headers["retry-after"].flatMap {
            HTTPDate.parseRetryAfter($0, now: reply.headers["date"].flatMap(HTTPDate.parse) ?? Clock.wallTime)
        }
        switch reply.status {
        case 404, 410: self = .gone(describeStatus(reply, of: name))
        case 429: self = .transientError(.rateLimited(retryAfter: retryAfter))
        case 408, 425, 500...:
            let detail = reply.status == 511 ? describeStatus(reply, of: name) : "for the \(name)"
            self = .transientError(.server(status: reply.status, detail: detail, retryAfter: retryAfter))
        default: self = .transientError(.file(describeStatus(reply, of: name), retryAfter: retryAfter))
        }
    }
}
