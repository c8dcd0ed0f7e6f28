import Host
import UpdateCore
import Verification

/// Takes in a local file: copies it into the staging directory and verifies it.
struct AdoptWorker {
    private let job: AdoptJob

    init(_ job: AdoptJob) { self.job = job }

    func run() -> AdoptResult {
        do {
            guard job.verification.mode == .minisign else {
                throw Refusal(
                    "a local file needs verification.mode = \"minisign\": it has no https connection to rely on")
            }
            let verifier = try ArtifactVerifier(job.verification)
            let file = try LocalFile(job)
            let versionCode = try verifier.claimedVersion(file.signature)
            let offer = Offer(file: job.name, urlKey: job.urlKey, versionCode: versionCode)
            try Files.createDirectory(job.directory)
            try requireSpace(for: try file.artifact.size)
            let base = "\(job.directory)/\(versionCode)"
            let artifactPath = "\(job.directory)/\(Artifact.stagedName(versionCode: versionCode))"
            for path in [artifactPath, base + ".sidecar"] { try Files.removeUnlessRegular(path) }
            let verified = try verifier.verify(
                .copy(file.artifact, to: artifactPath), sidecar: file.signature, of: offer,
                devModelKey: job.devModelKey, sizeLimit: job.sizeLimit)
            try Files.replace(base + ".sidecar", with: file.signature)
            return .verified(
                offer, Artifact(path: verified.path, sidecarPath: base + ".sidecar", size: verified.size))
        } catch {
            return .refused("\(error)")
        }
    }

    private struct Refusal: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    private func requireSpace(for size: ByteCount) throws {
        let free = try Files.freeSpace(at: job.directory)
        guard size <= free, job.keepFree <= free - size else {
            throw Refusal(
                "\(describe(bytes: size)) are needed in \(job.directory), \(describe(bytes: free)) are free and "
                    + "\(describe(configuredSize: job.keepFree)) must stay so (download.keepFree)")
        }
    }
}
