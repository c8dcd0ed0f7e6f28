import Host
import UpdateCore
import Verification

/// Takes in a file that somebody brought: proves it genuine while copying it into the staging folder.
struct AdoptWorker {
    private let job: AdoptJob

    init(_ job: AdoptJob) { self.job = job }

    func run() -> AdoptResult {
        do {
            guard job.verification.mode == .minisign else {
                throw Refusal("a local file needs verification.mode = \"minisign\": there is no https to believe")
            }
            let verifier = try ArtifactVerifier(job.verification)
            let file = try LocalFile(job)
            let versionCode = try verifier.claimedVersion(file.signature)
            let offer = Offer(file: job.name, urlKey: job.urlKey, versionCode: versionCode)
            try Files.createFolder(job.folder)
            try requireSpace(for: try file.artifact.size)
            let base = "\(job.folder)/\(versionCode)"
            let verified = try verifier.copy(
                file.artifact, sidecar: file.signature, of: offer, devModelKey: job.devModelKey,
                sizeLimit: job.sizeLimit,
                to: base + ".artifact")
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

    private func requireSpace(for size: Int) throws {
        let free = try Files.freeSpace(at: job.folder)
        guard size <= free, size + job.keepFree <= free else {
            throw Refusal(
                "\(describe(bytes: size)) are needed in \(job.folder), \(describe(bytes: free)) are free and "
                    + "\(describe(bytes: job.keepFree)) must stay so (download.keepFree)")
        }
    }
}
