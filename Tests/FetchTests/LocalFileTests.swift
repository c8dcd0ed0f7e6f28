import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// A local file is taken only within its limits and with its signature.
@Suite struct LocalFileTests {
    private let rig: Rig
    private let fetch = FetchProgram()

    init() async throws { rig = try await Rig() }

    private func adopt(change: (inout AdoptJob) -> Void = { _ in }) async throws -> AdoptResult? {
        var job = AdoptJob(
            name: "v2", path: "\(rig.scratch.path)/files/v2", urlKey: Rig.urlKey, devModelKey: nil,
            directory: rig.staging, sizeLimit: 1 << 30, keepFree: 0,
            verification: VerificationPolicy(
                mode: .minisign, keys: [rig.publisher.publicKey], sidecarURL: "{url}.minisig", requireVersionCode: true)
        )
        change(&job)
        guard case .adopted(let result)? = try await fetch.run(.adopt(job)).reports.last else { return nil }
        return result
    }

    private func reason(_ result: AdoptResult?) -> String {
        switch result {
        case .verified?: "verified"
        case .refused(let text)?: text
        case nil: "none"
        }
    }

    private var staged: [String] { (try? Files.list(rig.staging)) ?? [] }

    @Test func aLocalFileOfExactlyTheSizeLimitIsTaken() async throws {
        let refused = reason(try await adopt { $0.sizeLimit = ByteCount(Rig.size) - 1 })
        #expect(refused.hasPrefix("it is longer than download.sizeLimit"), "\(refused)")
        #expect(staged == [])
        let taken = try await adopt { $0.sizeLimit = ByteCount(Rig.size) }
        guard case .verified(let offer, let artifact)? = taken else {
            Issue.record("\(reason(taken))")
            return
        }
        #expect(
            offer.versionCode == 2 && artifact.size == ByteCount(Rig.size) && staged == ["2.artifact", "2.sidecar"])
        #expect(
            try Files.read(artifact.path, limit: 1 << 30)
                == Files.read("\(rig.scratch.path)/files/v2", limit: 1 << 30))
    }

    @Test func aLocalFileKeepsSpaceFree() async throws {
        let refused = reason(try await adopt { $0.keepFree = .max / 2 })
        #expect(refused.contains("3.0 MB are needed in \(rig.staging)"), "\(refused)")
        #expect(staged == [])
    }

    @Test func aLocalFileNeedsItsSignature() async throws {
        let none = reason(try await adopt { $0.verification.mode = .none })
        #expect(none.contains("verification.mode = \"minisign\""))
        let other = reason(try await adopt { $0.urlKey = "other" })
        #expect(other == "it was signed for urlKey device, and other is wanted")
        let model = reason(try await adopt { $0.devModelKey = "m" })
        #expect(model == "verified")
        try Files.removeTree(rig.staging)
        try await rig.sign("urlKey=device")
        #expect(reason(try await adopt()) == "its trusted comment does not say which version it signs")
        // The comment is right, and the content is not.
        try await rig.sign()
        let path = "\(rig.scratch.path)/files/v2"
        let content = try Files.read(path, limit: 1 << 30)
        try Files.replace(path, with: content.dropLast() + [content[content.count - 1] ^ 1])
        #expect(reason(try await adopt()) == "its content is not what was signed")
        #expect(staged == [])
        try Files.remove(path + ".minisig")
        #expect(reason(try await adopt()).contains("cannot open \(path).minisig"))
        #expect(staged == [])
    }

    @Test(.timeLimit(.minutes(1)), arguments: ["v2", "v2.minisig"])
    func aLocalFileThatIsNotRegularIsRefusedAtOnce(name: String) async throws {
        let path = "\(rig.scratch.path)/files/\(name)"
        unlink(path)
        mkfifo(path, 0o600)
        #expect(reason(try await adopt()) == "\(path) is not a regular file")
    }

    @Test(arguments: [0, 1]) func theSignatureOfALocalFileIsLimited(excess: Int) async throws {
        let file = "\(rig.scratch.path)/files/v2.minisig"
        let signature = try Files.read(file, limit: 4096)
        try Files.replace(file, with: signature + [UInt8](repeating: 0x0A, count: 16_384 + excess - signature.count))
        let result = reason(try await adopt())
        #expect(excess == 0 ? result == "verified" : result.contains("File too large"), "\(result)")
    }
}
