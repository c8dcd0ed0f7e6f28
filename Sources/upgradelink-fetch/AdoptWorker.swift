import Glibc
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
            let signaturePath = job.path + ".minisig"
            for path in [job.path, signaturePath] where Files.exists(path) && !Files.isRegular(path) {
                throw Refusal("\(path) is not a regular file")
            }
            if let path = Files.absolutePath(job.path), path.hasPrefix(job.folder + "/") {
                throw Refusal("\(path) is in download.folder already, which is the agent's own")
            }
            let verifier = try ArtifactVerifier(job.verification)
            let signature = try Files.read(signaturePath, limit: ArtifactVerifier.maximumSidecarBytes)
            let versionCode = try verifier.claimedVersion(signature)
            let offer = Offer(file: job.path, urlKey: job.urlKey, versionCode: versionCode)
            try checkSize()
            try Files.createFolder(job.folder)
            let base = "\(job.folder)/\(versionCode)"
            let verified = try verifier.copy(
                Artifact(path: job.path, sidecarPath: signaturePath, size: 0), of: offer, devModelKey: job.devModelKey,
                to: base + ".artifact")
            try Files.replace(base + ".sidecar", with: signature)
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

    private func checkSize() throws {
        let size = try OpenFile(job.path, O_RDONLY | O_NONBLOCK).size
        guard size <= job.sizeLimit else {
            throw Refusal(
                "the file has \(describe(bytes: size)), download.sizeLimit is \(describe(bytes: job.sizeLimit))")
        }
        let folder = Files.exists(job.folder) ? job.folder : Files.folder(of: job.folder)
        let free = try Files.freeSpace(at: folder)
        guard size + job.keepFree <= free else {
            throw Refusal(
                "\(describe(bytes: size)) are needed in \(job.folder), \(describe(bytes: free)) are free and "
                    + "\(describe(bytes: job.keepFree)) must stay so (download.keepFree)")
        }
    }
}
