import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore
import Verification

/// Signatures made by the real minisign.
@Suite struct MinisignTests {
    private let scratch: Scratch
    private let publisher: Publisher
    private let offer: Offer

    init() async throws {
        scratch = try Scratch()
        publisher = try await Publisher(directory: "\(scratch.path)/publisher")
        offer = try Self.offer(4)
        try scratch.write("file", String(repeating: "content ", count: 100_000))
    }

    @Test func aKeyIDIsShownAsMinisignPrintsIt() {
        // The key and its number as minisign's own documentation has them.
        #expect(
            MinisignKey("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3")?.name == "E7620F1842B4E81F")
        #expect(
            MinisignKey("RWQAAAAAAAAAAAAAYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3")?.name == "0")
        // minisign wrote "minisign public key CFB30DA7B28D0A7" into the file of this key.
        #expect(
            MinisignKey("RWSn0Ch72jD7DAouHWinl/+32XOgGFm7PAupkHyVWke4MRsBXary6nAQ")?.name == "CFB30DA7B28D0A7")
        #expect(MinisignKey("RWQf6LRC") == nil && MinisignKey("?") == nil)
    }

    private static func offer(_ code: Int, url: String = "http://h/f") throws -> Offer {
        let fields = OfferFields(
            urlKey: "device", versionName: "v\(code)", versionCode: code, urlPath: url, upgradeType: 2,
            promptUpgradeContent: "")
        return try Offer(fields, respondingTo: CheckRequest(urlKey: "device", versionCode: 1))
    }

    private func policy(
        _ mode: VerificationPolicy.Mode = .minisign, keys: [String]? = nil, needsCode: Bool = true
    ) -> VerificationPolicy {
        VerificationPolicy(
            mode: mode, keys: keys ?? [publisher.publicKey],
            sidecarURL: mode == .sha256 ? "{url}.sha256" : "{url}.minisig",
            requireVersionCode: needsCode)
    }

    /// "verified", or why the file is refused.
    private func verdict(
        _ policy: VerificationPolicy? = nil, offer: Offer? = nil, model: String? = nil,
        sidecar: String? = "file.minisig", sizeLimit: ByteCount = 1 << 30
    ) -> String {
        do {
            let sidecar = try sidecar.map { try Files.read("\(scratch.path)/\($0)", limit: 65_536) }
            let verified = try ArtifactVerifier(policy ?? self.policy()).verify(
                .copy(try OpenFile("\(scratch.path)/file", O_RDONLY), to: "\(scratch.path)/copy"), sidecar: sidecar,
                of: offer ?? self.offer, devModelKey: model, sizeLimit: sizeLimit)
            #expect(try scratch.read("copy") == (try scratch.read("file")))
            #expect(verified.offer == offer ?? self.offer)
            return "verified"
        } catch {
            #expect(!scratch.exists("copy"), "a copy of an unverified file remains")
            return "\(error)"
        }
    }

    /// Editors, mail and web forms change line ends, add a mark, blanks and empty lines.
    @Test(
        arguments: [
            ("\n", "\r\n"), ("\n", "\r\n\r\n"), ("\n", " \n"), ("\n", "\t\r\n"), ("\n", "\n\n"),
            ("untrusted", "\u{FEFF}untrusted"),
            ("\n", "\n  "),
        ])
    func aSignatureFileMayHavePassedAnEditor(of text: String, with other: String) async throws {
        try await sign()
        let original = try scratch.read("file.minisig")
        let changed =
            text == "untrusted" ? "\u{FEFF}" + original : original.replacing(text, with: other)
        try scratch.write("file.minisig", changed)
        #expect(verdict() == "verified")
    }

    @Test func blanksAtTheEndOfATrustedCommentMayBeSigned() async throws {
        try await sign("urlKey=device versionCode=4  ")
        #expect(verdict() == "verified")
        try await sign("urlKey=device versionCode=4")
        let text = try scratch.read("file.minisig")
        try scratch.write("file.minisig", text.replacing("versionCode=4", with: "versionCode=4 x"))
        #expect(verdict().contains("the signature of its trusted comment is wrong"))
    }

    private func sign(_ comment: String = "urlKey=device versionCode=4", legacy: Bool = false) async throws {
        try await publisher.sign("\(scratch.path)/file", comment: comment, legacy: legacy)
    }

    @Test func aSignedFileIsVerified() async throws {
        try await sign()
        #expect(verdict() == "verified")
        try await sign("timestamp:1 file:f devModelKey=m versionCode=4")
        #expect(verdict(model: "m") == "verified")
    }

    @Test func anyTrustedKeyIsAccepted() async throws {
        let other = try await Publisher(directory: "\(scratch.path)/other")
        try await sign()
        #expect(verdict(policy(keys: [other.publicKey, publisher.publicKey])) == "verified")
        #expect(verdict(policy(keys: [other.publicKey])).contains("which is not among the trusted keys"))
    }

    /// minisign's own comment has the time of the signature; it decides nothing.
    @Test(arguments: ["2147483648", "2208988800", "4102444800", "253402300800", "99999999999999999999"])
    func aSignatureMayBeMadeAfter2038(timestamp: String) async throws {
        try await sign("timestamp:\(timestamp)\tfile:file\thashed urlKey=device versionCode=4")
        #expect(verdict() == "verified")
    }

    @Test(
        arguments: [
            ("urlKey=device versionCode=3", "it was signed for versionCode 3, and 4 is wanted"),
            ("urlKey=device versionCode=04", "it was signed for versionCode 04, and 4 is wanted"),
            ("urlKey=other versionCode=4", "it was signed for urlKey other, and device is wanted"),
            ("devModelKey=m2 versionCode=4", "it was signed for devModelKey m2, and none is wanted"),
            ("urlKey=device", "its trusted comment does not say which version it signs"),
            ("versionCode=4 versionCode=5", "its trusted comment contradicts itself"),
        ])
    func aFileSignedForAnotherVersionOrDeviceIsRefused(comment: String, line: String) async throws {
        try await sign(comment)
        #expect(verdict().hasPrefix(line))
    }

    @Test func theSignedVersionCodeIsOptionalIfConfigured() async throws {
        try await sign("urlKey=device")
        #expect(verdict(policy(needsCode: false)) == "verified")
        try await sign("versionCode=9")
        #expect(verdict(policy(needsCode: false)).contains("signed for versionCode 9"))
    }

    @Test func aFlippedBitIsDetected() async throws {
        try await sign()
        var bytes = try Files.read("\(scratch.path)/file", limit: 1 << 20)
        bytes[bytes.count / 2] ^= 1
        try Files.replace("\(scratch.path)/file", with: bytes)
        #expect(verdict() == "its content is not what was signed")
    }

    @Test func aShortenedOrExtendedFileIsDetected() async throws {
        try await sign()
        let bytes = try Files.read("\(scratch.path)/file", limit: 1 << 20)
        try Files.replace("\(scratch.path)/file", with: Array(bytes.dropLast()))
        #expect(verdict() == "its content is not what was signed")
        try Files.replace("\(scratch.path)/file", with: bytes + [0])
        #expect(verdict() == "its content is not what was signed")
    }

    @Test func aChangedTrustedCommentIsDetected() async throws {
        try await sign("urlKey=device versionCode=3")
        let text = try scratch.read("file.minisig").replacing("versionCode=3", with: "versionCode=4")
        try scratch.write("file.minisig", text)
        #expect(verdict() == "the signature of its trusted comment is wrong")
    }

    @Test func aFlippedBitOfTheSignatureIsDetected() async throws {
        try await sign()
        let good = try Files.read("\(scratch.path)/file.minisig", limit: 4096)
        let untrusted = good.firstIndex(of: 0x0A) ?? 0
        // The first line is not signed. A change of any other byte must be detected.
        for index in stride(from: untrusted + 1, to: good.count - 1, by: 5) {
            var bytes = good
            bytes[index] ^= 4
            try Files.replace("\(scratch.path)/file.minisig", with: bytes)
            #expect(verdict() != "verified", "byte \(index)")
        }
    }

    @Test(arguments: [
        "", "x", "untrusted comment:\n\n\n\n", "\n\n\n\n\n\n", "untrusted comment: a\nRUQ=\ntrusted comment: b\nAAAA\n",
    ])
    func aMalformedSignatureIsRefused(text: String) throws {
        try scratch.write("file.minisig", text)
        #expect(verdict().hasPrefix("its signature file makes no sense"))
    }

    @Test func theLegacyFormIsRefusedWithTheRemedy() async throws {
        try await sign(legacy: true)
        #expect(verdict().contains("minisign -S -H"))
    }

    @Test func withoutKeysNothingIsVerified() async throws {
        try await sign()
        #expect(verdict(policy(keys: [])).contains("verification.keys"))
        #expect(verdict(policy(keys: ["nonsense"])) == "\"nonsense\" is not a minisign public key")
    }

    @Test func aDigestIsAcceptedOverHTTPSOnly() async throws {
        let digest = Digest.hex(.sha256, of: Array(try scratch.read("file").utf8))
        try scratch.write("file.sha256", "\(digest)  file\n")
        let secure = try Self.offer(4, url: "https://h/f")
        #expect(verdict(policy(.sha256), offer: secure, sidecar: "file.sha256") == "verified")
        #expect(verdict(policy(.sha256), sidecar: "file.sha256").contains("requires https, and"))
        try scratch.write("file.sha256", String(repeating: "0", count: 64))
        #expect(verdict(policy(.sha256), offer: secure, sidecar: "file.sha256").hasPrefix("its SHA-256 is "))
        try scratch.write("file.sha256", "\(digest)ab")
        #expect(verdict(policy(.sha256), offer: secure, sidecar: "file.sha256").contains("does not begin with"))
    }

    @Test func modeNoneAcceptsHTTPSOnly() throws {
        #expect(verdict(policy(.none), offer: try Self.offer(4, url: "https://h/f"), sidecar: nil) == "verified")
        #expect(verdict(policy(.none), sidecar: nil).contains("requires https, and"))
    }

    /// The caller may pass any file. An endless one is not read to its end.
    @Test func aFileThatIsTooLongOrNotRegularIsRefused() async throws {
        try await sign()
        #expect(verdict(sizeLimit: 3) == "it is longer than download.sizeLimit, 3 B")
        let device = try OpenFile("/dev/zero", O_RDONLY)
        #expect(throws: VerificationFailure.self) {
            _ = try ArtifactVerifier(policy()).verify(
                .copy(device, to: "\(scratch.path)/copy"), sidecar: Array(try scratch.read("file.minisig").utf8),
                of: offer, devModelKey: nil, sizeLimit: .max)
        }
        #expect(!scratch.exists("copy"))
    }

    /// A large file is copied a part at a time, so that a stop does not wait for all of it.
    @Test func aCopyIsMadeInPartsAndCanBeDiscarded() async throws {
        try scratch.write("file", String(repeating: "content ", count: 3 << 20))
        try await sign()
        let sidecar = try Files.read("\(scratch.path)/file.minisig", limit: 65_536)
        func begin() throws -> ArtifactReading {
            try ArtifactVerifier(policy()).reading(
                .copy(try OpenFile("\(scratch.path)/file", O_RDONLY), to: "\(scratch.path)/copy"), sidecar: sidecar,
                of: offer, devModelKey: nil, sizeLimit: 1 << 30)
        }
        let stopped = try begin()
        let first = try stopped.next()
        #expect(first == nil && scratch.exists("copy"))
        stopped.discard()
        #expect(!scratch.exists("copy"))
        let copy = try begin()
        var parts = 1
        while try copy.next() == nil { parts += 1 }
        #expect(parts > 2)
        #expect(try scratch.read("copy") == (try scratch.read("file")))
    }
}
