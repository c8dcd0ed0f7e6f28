import FoundationEssentials
import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

@testable import Verification

/// Each part of a signature wrong alone, and each way in which a file is taken.
@Suite struct SignaturePartTests {
    private let scratch: Scratch
    private let publisher: Publisher
    private static let size = 100_000

    init() async throws {
        scratch = try Scratch()
        publisher = try await Publisher(directory: "\(scratch.path)/publisher")
        try scratch.write("file", String(repeating: "content ", count: Self.size / 8))
        try await publisher.sign("\(scratch.path)/file", comment: "urlKey=device versionCode=4")
    }

    private static func offer(_ url: String = "https://h/f") throws -> Offer {
        let fields = OfferFields(
            urlKey: "device", versionName: "v4", versionCode: 4, urlPath: url, upgradeType: 2, promptUpgradeContent: "")
        return try Offer(fields, respondingTo: CheckRequest(urlKey: "device", versionCode: 1))
    }

    private func verifier(
        _ mode: VerificationPolicy.Mode = .minisign, keys: [String]? = nil, sidecarURL: String = "{url}.x"
    ) throws -> ArtifactVerifier {
        try ArtifactVerifier(
            VerificationPolicy(
                mode: mode, keys: keys ?? [publisher.publicKey], sidecarURL: sidecarURL, requireVersionCode: true))
    }

    private var signature: [UInt8] {
        get throws { try Files.read("\(scratch.path)/file.minisig", limit: 4096) }
    }

    private func file() throws -> OpenFile { try OpenFile("\(scratch.path)/file", O_RDONLY) }
    private var copy: String { "\(scratch.path)/copy" }

    private func verdict(
        _ verifier: ArtifactVerifier, _ sidecar: [UInt8], sizeLimit: ByteCount = 1 << 30, keepFree: ByteCount = 0
    ) throws -> String {
        do {
            _ = try verifier.verify(
                .copy(try file(), to: copy), sidecar: sidecar, of: Self.offer(), devModelKey: nil, sizeLimit: sizeLimit,
                keepFree: keepFree)
            return "verified"
        } catch {
            #expect(!scratch.exists("copy"))
            return "\(error)"
        }
    }

    /// The signature file with another second line: the algorithm, the key's ID, and the signature of the content.
    private func signature(changing change: (inout [UInt8]) -> Void) throws -> [UInt8] {
        var lines = String(decoding: try signature, as: UTF8.self).split(separator: "\n").map(String.init)
        var raw = Array(try #require(Data(base64Encoded: lines[1])))
        change(&raw)
        lines[1] = Data(raw).base64EncodedString()
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    private func key(changing change: (inout [UInt8]) -> Void) throws -> String {
        var raw = Array(try #require(Data(base64Encoded: publisher.publicKey)))
        change(&raw)
        return Data(raw).base64EncodedString()
    }

    // MARK: the parts of a signature

    @Test func anUnchangedSignatureIsValid() throws {
        #expect(try verdict(verifier(), signature { _ in }) == "verified")
    }

    @Test(arguments: ["EX", "XD", "ed", "eD"]) func anotherAlgorithmIsRefused(name: String) throws {
        let changed = try signature { $0.replaceSubrange(0..<2, with: name.utf8) }
        #expect(try verdict(verifier(), changed) == "its signature file makes no sense: its algorithm is unknown")
    }

    /// The ID is not signed, but the key must be one of the trusted ones by its ID, too.
    @Test func anotherKeyIDIsRefused() throws {
        let changed = try signature { $0[2] ^= 1 }
        #expect(try verdict(verifier(), changed).contains("which is not among the trusted keys"))
        let other = try key { $0[2] ^= 1 }
        #expect(try verdict(verifier(keys: [other]), signature).contains("which is not among the trusted keys"))
    }

    @Test func aKeyWithTheSameIDAndOtherBytesIsRefused() throws {
        let other = try key { $0[20] ^= 1 }
        #expect(try verdict(verifier(keys: [other]), signature) == "the signature of its trusted comment is wrong")
        // Another key with this ID does not hide the right one.
        #expect(try verdict(verifier(keys: [other, publisher.publicKey]), signature) == "verified")
    }

    /// The signature of the comment covers that of the content, so another content's signature does not match this comment.
    @Test func theSignatureOfAnotherFileIsRefused() async throws {
        let first = try signature
        try scratch.write("file", "another content")
        try await publisher.sign("\(scratch.path)/file", comment: "urlKey=device versionCode=4")
        let changed = try signature { raw in
            let lines = String(decoding: first, as: UTF8.self).split(separator: "\n")
            if let other = Data(base64Encoded: String(lines[1])) { raw = Array(other) }
        }
        #expect(try verdict(verifier(), changed) == "the signature of its trusted comment is wrong")
        #expect(try verdict(verifier(), first) == "its content is not what was signed")
    }

    @Test func aKeyHas42BytesAndItsMark() throws {
        #expect(MinisignKey(publisher.publicKey) != nil)
        #expect(try MinisignKey(key { $0.removeLast() }) == nil)
        #expect(try MinisignKey(key { $0.append(0) }) == nil)
        #expect(try MinisignKey(key { $0[1] = UInt8(ascii: "D") }) == nil)
        #expect(
            MinisignKey("untrusted comment: x\n\(publisher.publicKey)\n\n")?.name
                == MinisignKey(publisher.publicKey)?.name)
    }

    @Test func aFailedDigestIsNoAnswer() throws {
        let key = try #require(MinisignKey(publisher.publicKey))
        let raw = try MinisignSignature(signature)
        #expect(!key.verifies(raw.signature, of: []))
        #expect(!key.verifies([], of: [1]) && !key.verifies(Array(raw.signature.dropLast()), of: [1]))
    }

    // MARK: claims

    @Test(arguments: [
        ("urlKey=device versionCode=4", nil, nil), ("versionCode=4", nil, nil),
        ("urlKey=device devModelKey=m versionCode=4", "m", nil), ("versionCode=4 versionCode=4", nil, nil),
        ("versionCode=5", nil, "versionCode 5, and 4"), ("versionCode=3", nil, "versionCode 3, and 4"),
        ("versionCode=", nil, "versionCode , and 4"), ("versionCode=4x", nil, "versionCode 4x, and 4"),
        ("urlKey=other versionCode=4", nil, "urlKey other, and device"),
        ("urlKey= versionCode=4", nil, "urlKey , and device"),
        ("urlKey=Device versionCode=4", nil, "urlKey Device, and device"),
        ("devModelKey=m versionCode=4", nil, "devModelKey m, and none"),
        ("devModelKey=m versionCode=4", "n", "devModelKey m, and n"),
        ("urlKey=device", nil, "does not say which version"), ("VersionCode=4", nil, "does not say which version"),
        ("versioncode 4", nil, "does not say which version"),
    ])
    func eachClaimIsCompared(comment: String, model: String?, refusal: String?) throws {
        let claims = try #require(Claims(comment))
        let found = claims.mismatch(try Self.offer(), devModelKey: model, requireVersionCode: true)
        #expect(refusal.map { found?.contains($0) == true } ?? (found == nil), "\(found ?? "accepted")")
    }

    @Test func aMissingVersionIsAcceptedOnlyIfConfigured() throws {
        let claims = try #require(Claims("urlKey=device"))
        #expect(claims.mismatch(try Self.offer(), devModelKey: nil, requireVersionCode: false) == nil)
        let wrong = try #require(Claims("versionCode=5"))
        #expect(wrong.mismatch(try Self.offer(), devModelKey: nil, requireVersionCode: false) != nil)
    }

    @Test func aFieldThatContradictsItselfIsRefused() {
        #expect(Claims("a=1 a=2") == nil && Claims("a=1 a=1") != nil && Claims("a=1 b=2 word") != nil)
        #expect(Claims("a=1=2")?.versionCode == nil && Claims("versionCode=2=3")?.versionCode == nil)
    }

    @Test(arguments: [("1", 1), ("0", nil), ("-1", nil), ("x", nil), ("9223372036854775807", Int.max)])
    func aVersionCodeIsAPositiveNumber(text: String, code: Int?) {
        let claims = Claims("versionCode=\(text) minVersionCode=\(text)")
        #expect(claims?.versionCode == code && claims?.minVersionCode == code)
        #expect(claims?.hasInvalidMinimum == (code == nil))
        #expect(Claims("versionCode=1")?.hasInvalidMinimum == false)
    }

    @Test func aMinimumThatIsNoNumberIsRefused() async throws {
        try await publisher.sign("\(scratch.path)/file", comment: "versionCode=4 minVersionCode=0")
        #expect(try verdict(verifier(), signature).contains("minVersionCode in its trusted comment is not"))
        try await publisher.sign("\(scratch.path)/file", comment: "versionCode=4 minVersionCode=9")
        #expect(try verifier().statement(signature).minVersionCode == 9)
        #expect(try verifier().claimedVersion(signature) == 4)
        let verified = try verifier().verify(
            .inPlace(try file(), cached: 0), sidecar: signature, of: Self.offer(), devModelKey: nil, sizeLimit: 1 << 30)
        #expect(verified.minVersionCode == 9)
    }

    // MARK: digests

    @Test func aDigestFileBeginsWithAWholeDigest() throws {
        let digest = Digest.hex(.sha256, of: Array(try scratch.read("file").utf8))
        let accepted = [digest, digest.uppercased(), "\(digest)\n", "\(digest)  file\n", "\(digest)\t"]
        let short = String(digest.dropLast())
        let refused = [short, "\(digest)0", "\(digest)!", " \(digest)", "\(short)g", ""]
        for (text, isAccepted) in accepted.map({ ($0, true) }) + refused.map({ ($0, false) }) {
            let found = try verdict(verifier(.sha256), Array(text.utf8))
            #expect((found == "verified") == isAccepted, "\(text): \(found)")
        }
    }

    /// A file over https with a digest over http would be no better than both over http.
    @Test func theDigestComesOverHTTPSToo() throws {
        let digest = Array(Digest.hex(.sha256, of: Array(try scratch.read("file").utf8)).utf8)
        let insecure = try verdict(verifier(.sha256, sidecarURL: "http://h/f.sha256"), digest)
        #expect(insecure.contains("requires https, and http://h/f.sha256 is not https"), "\(insecure)")
        #expect(try verdict(verifier(.sha256, sidecarURL: "https://i/f.sha256"), digest) == "verified")
    }

    @Test func onlyTheModeNoneHasNoSidecar() throws {
        #expect(try verifier(.none).sidecarURL(for: Self.offer()) == nil)
        #expect(try verifier(.minisign).sidecarURL(for: Self.offer())?.text == "https://h/f.x")
        #expect(throws: VerificationFailure.self) {
            try verifier(.minisign, sidecarURL: "nothing").sidecarURL(for: Self.offer())
        }
    }

    // MARK: the file

    @Test func aFileOfExactlyTheLimitIsTaken() throws {
        #expect(try verdict(verifier(), signature, sizeLimit: ByteCount(Self.size)) == "verified")
        #expect(try verdict(verifier(), signature, sizeLimit: ByteCount(Self.size) - 1).contains("download.sizeLimit"))
        #expect(try verdict(verifier(), signature, keepFree: .max / 2).contains("must stay so (download.keepFree)"))
    }

    @Test func whatIsNoRegularFileIsNotRead() throws {
        for source in [
            ArtifactSource.copy(try OpenFile("/dev/zero", O_RDONLY), to: copy),
            .inPlace(try OpenFile("/dev/zero", O_RDONLY), cached: 0),
        ] { #expect { _ = try begin(source) } throws: { "\($0)" == "it is not a regular file" } }
        #expect(!scratch.exists("copy"))
    }

    private func begin(_ source: ArtifactSource) throws -> ArtifactReading {
        try verifier().reading(source, sidecar: signature, of: Self.offer(), devModelKey: nil, sizeLimit: 1 << 30)
    }

    private func append() throws { try OpenFile("\(scratch.path)/file", O_WRONLY | O_APPEND).write([1]) }

    /// The space for more was not checked, and more was not measured.
    @Test func aFileThatGrowsWhileItIsCopiedIsRefused() throws {
        let reading = try begin(.copy(try file(), to: copy))
        try append()
        #expect { _ = try reading.next() } throws: { "\($0)" == "it grew while it was copied" }
        #expect(!scratch.exists("copy"))
    }

    @Test func aFileThatShrinksIsRefused() throws {
        for source in [ArtifactSource.copy(try file(), to: copy), .inPlace(try file(), cached: 0)] {
            let reading = try begin(source)
            try OpenFile("\(scratch.path)/file", O_WRONLY).truncate(to: ByteCount(Self.size) - 1)
            #expect { _ = try reading.next() } throws: { "\($0)" == "its content is not what was signed" }
            try scratch.write("file", String(repeating: "content ", count: Self.size / 8))
        }
    }

    /// A file that is verified where it is stays there, whatever the result.
    @Test func aFileInItsPlaceIsNeverRemoved() throws {
        let reading = try begin(.inPlace(try file(), cached: 1 << 20))
        let verified = try #require(try reading.next())
        #expect(verified.path == "\(scratch.path)/file" && verified.size == ByteCount(Self.size))
        try scratch.write("file", String(repeating: "Content ", count: Self.size / 8))
        let wrong = try begin(.inPlace(try file(), cached: 0))
        #expect { _ = try wrong.next() } throws: { "\($0)" == "its content is not what was signed" }
        wrong.discard()
        #expect(scratch.exists("file") && !scratch.exists("copy"))
    }

    @Test func aCopyReplacesWhatHasItsName() throws {
        try scratch.write("precious", "precious")
        symlink("\(scratch.path)/precious", copy)
        #expect(try verdict(verifier(), signature) == "verified")
        #expect(try scratch.read("precious") == "precious" && scratch.read("copy") == scratch.read("file"))
        #expect(FileStatus(copy, followsLinks: false)?.mode == 0o600)
    }

    @Test func aDigestStartsAgain() {
        for isParallel in [false, true] {
            let digest = Digest(.sha256, isParallel: isParallel)
            digest.add(([1, 2, 3] as [UInt8]).span.bytes)
            digest.restart()
            digest.add(Array("abc".utf8).span.bytes)
            #expect(
                hexadecimal(digest.finish()) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        }
        #expect(Digest.hex(.md5, of: Array("abc".utf8)) == "900150983cd24fb0d6963f7d28e17f72")
        #expect(
            Digest.hex(.blake2b512, of: []).hasPrefix(
                "786a02f742015903c6c6fd852552d272912f4740e15847618a86e217f71f5419"))
    }
}
