import Fetch
import Glibc
import Host
import UpdateCore
import UpgradeLinkAPI
import Verification

/// Downloads the signature, then the file, and renames the verified file to its final name.
struct DownloadWorker {
    private let job: DownloadJob
    private let cancellation: Cancellation
    private let speedLimit: SpeedLimit
    private var offer: Offer { job.offer }

    init(_ job: DownloadJob, _ speedLimit: SpeedLimit, _ cancellation: Cancellation) {
        self.job = job
        self.speedLimit = speedLimit
        self.cancellation = cancellation
    }

    private var base: String { "\(job.directory)/\(offer.versionCode)" }
    private var artifactPath: String { base + ".artifact" }
    private var sidecarPath: String { base + ".sidecar" }

    func run() -> DownloadResult {
        do {
            guard let url = WebURL(offer.urlPath) else { return .refused("its address is not a URL") }
            try Files.createDirectory(job.directory)
            let verifier = try ArtifactVerifier(job.verification)
            let sidecar = try fetchSidecar(verifier)
            let expectation = {
                try verifier.expectation(sidecar: sidecar, offer: offer, devModelKey: job.devModelKey)
            }
            if let artifact = try finishedBefore(try expectation()) { return .verified(artifact) }
            return .verified(try fetchArtifact(url, sidecar, expectation))
        } catch let failure as VerificationFailure {
            return .refused("\(failure)")
        } catch let failure as DownloadFailure {
            return result(failure)
        } catch let error as SystemError {
            return error.isNoSpace ? .noSpace("\(error)") : .transientError(.worker("\(error)"))
        } catch {
            return .transientError(.worker("\(error)"))
        }
    }

    // MARK: the signature

    private func fetchSidecar(_ verifier: ArtifactVerifier) throws -> [UInt8]? {
        guard let url = try verifier.sidecarURL(for: offer) else { return nil }
        let client = HTTPClient(job.connection, cancellation: cancellation)
        let reply = try client.get(url, limit: maximumSidecarBytes)
        guard reply.status == 200 else { throw DownloadFailure.status(reply) }
        return reply.body
    }

    // MARK: the file

    /// The artifact of an earlier run that ended after the rename and before its report; nil if there is none.
    private func finishedBefore(_ expectation: ArtifactVerifier.Expectation) throws -> Artifact? {
        guard Files.exists(artifactPath) else { return nil }
        let file = try OpenFile(artifactPath, O_RDONLY)
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
    ) throws -> Artifact {
        let download = Download(job, url: url, path: base + ".part", speedLimit: speedLimit, cancellation: cancellation)
        while true {
            let expectation = try expect()
            let (size, resumed) = try download.run(
                onBytes: { expectation.digest?.add($0) },
                onRestart: { expectation.digest?.restart() },
                onProgress: { JSONLine.send(FetchReport.progress($0)) })
            do {
                try expectation.verify()
            } catch {
                download.discard()
                // The bytes of an earlier run may be wrong: download the whole file once more.
                if resumed {
                    JSONLine.send(
                        FetchReport.note("A resumed download is not what was signed; it starts over: \(error)"))
                    continue
                }
                throw error
            }
            if let sidecar { try Files.replace(sidecarPath, with: sidecar) }
            try download.finish(as: artifactPath)
            return try artifact(size: size)
        }
    }

    private func artifact(size: Int) throws -> Artifact {
        Artifact(path: artifactPath, sidecarPath: job.verification.mode == .none ? nil : sidecarPath, size: size)
    }

    // MARK: failures

    private func result(_ failure: DownloadFailure) -> DownloadResult {
        switch failure {
        case .transientError(let transientError): .transientError(transientError)
        case .refused(let reason): .refused(reason)
        case .noSpace(let reason): .noSpace(reason)
        case .cancelled: .transientError(.network("cancelled"))
        case .status(let reply): result(reply)
        }
    }

    private func result(_ reply: HTTPReply) -> DownloadResult {
        let retryAfter = reply.headers["retry-after"].flatMap {
            HTTPDate.parseRetryAfter($0, now: reply.headers["date"].flatMap(HTTPDate.parse) ?? Clock.wallTime)
        }
        switch reply.status {
        case 429: return .transientError(.rateLimited(retryAfter: retryAfter))
        case 400..<500 where reply.status != 408 && reply.status != 425:
            return .gone(
                "HTTP \(reply.status) for the file or its signature; publish both, at the address the server offers")
        default:
            return .transientError(.server(status: reply.status, detail: "for the artifact", retryAfter: retryAfter))
        }
    }
}
