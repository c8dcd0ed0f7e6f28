import Glibc
public import Host
public import UpdateCore

/// Why a file could not be verified, as one line.
public struct VerificationFailure: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
    public let code: ReasonCode

    init(_ description: String, _ code: ReasonCode) { (self.description, self.code) = (description, code) }
}

/// A file that this process has verified completely. Only ``ArtifactVerifier`` can create one.
public struct VerifiedArtifact: Sendable {
    public let path: String
    /// Bytes.
    public let size: ByteCount
    public let offer: Offer
    /// `minVersionCode=` of the signature's trusted comment.
    public let minVersionCode: Int?

    fileprivate init(path: String, size: ByteCount, offer: Offer, minVersionCode: Int?) {
        self.path = path
        self.size = size
        self.offer = offer
        self.minVersionCode = minVersionCode
    }
}

/// Verifies files by the operator's policy.
public struct ArtifactVerifier {
    private let policy: VerificationPolicy
    private let keys: [MinisignKey]

    /// - Throws: if the policy is `minisign` and a key is malformed, or there is none.
    public init(_ policy: VerificationPolicy) throws(VerificationFailure) {
        self.policy = policy
        var keys: [MinisignKey] = []
        if policy.mode == .minisign {
            for text in policy.keys {
                guard let key = MinisignKey(text) else {
                    throw VerificationFailure(
                        "\"\(text.sanitized(limit: 80))\" is not a minisign public key", .verificationMisconfigured)
                }
                keys.append(key)
            }
            if keys.isEmpty { throw VerificationFailure(Work.RetryReason.noKeys.line, .noKeys) }
        }
        self.keys = keys
    }

    /// The URL of the signature or digest file of the offered file; nil if the mode has none.
    ///
    /// - Throws: if `verification.signatureUrl` does not give a URL.
    public func sidecarURL(for offer: Offer) throws(VerificationFailure) -> WebURL? {
        guard policy.mode != .none else { return nil }
        guard let url = (try? SidecarTemplate(policy.sidecarURL))?.address(for: offer) else {
            throw VerificationFailure(
                "verification.signatureUrl, \"\(policy.sidecarURL.sanitized(limit: 200))\", gives no http or https URL",
                .verificationMisconfigured)
        }
        return url
    }

    /// What a file must match to be verified. It is made before the download, so that a forged or an old signature does not
    /// cause a download.
    public struct Expectation {
        /// The digest that the caller adds the bytes of the file to; nil if the mode needs none.
        public let digest: Digest?
        fileprivate var minVersionCode: Int?
        fileprivate let check: ([UInt8]) throws(VerificationFailure) -> Void

        /// Call this once, after all bytes have been added to ``digest``.
        public func verify() throws(VerificationFailure) { try check(digest?.finish() ?? []) }
    }

    /// Checks the signature or digest file itself, and makes the expectation for the artifact from it.
    ///
    /// - Throws: if the signature is invalid or for another version, or if the mode requires https and a URL is not https.
    public func expectation(
        sidecar: [UInt8]?, offer: Offer, devModelKey: String?
    ) throws(VerificationFailure) -> Expectation {
        switch policy.mode {
        case .none:
            try requireSecure(offer.urlPath, "none")
            return Expectation(digest: nil, minVersionCode: nil) { _ throws(VerificationFailure) in }
        case .sha256:
            try requireSecure(offer.urlPath, "sha256")
            if let url = try sidecarURL(for: offer) { try requireSecure(url.text, "sha256") }
            return try digestExpectation(sidecar ?? [])
        case .minisign:
            return try signatureExpectation(sidecar ?? [], offer, devModelKey)
        }
    }

    private func requireSecure(_ url: String, _ mode: String) throws(VerificationFailure) {
        guard WebURL(url)?.isSecure == true else {
            throw VerificationFailure(
                "verification.mode = \"\(mode)\" requires https, and "
                    + "\(WebURL(url)?.shown ?? url.withoutUserInfo.sanitized(limit: 200)) is not https",
                .verificationMisconfigured)
        }
    }

    private func digestExpectation(_ sidecar: [UInt8]) throws(VerificationFailure) -> Expectation {
        let wanted = String(decoding: sidecar.prefix(64), as: UTF8.self).lowercased()
        let isWhole = sidecar.count == 64 || sidecar.dropFirst(64).first.map { $0 <= 0x20 } == true
        guard wanted.count == 64, wanted.allSatisfy(\.isHexDigit), isWhole else {
            throw VerificationFailure("the digest file does not begin with a SHA-256 digest in hex", .digestMismatch)
        }
        return Expectation(digest: Digest(.sha256), minVersionCode: nil) { digest throws(VerificationFailure) in
            guard hexadecimal(digest) == wanted else {
                throw VerificationFailure(
                    "its SHA-256 is \(hexadecimal(digest)), and \(wanted) was published", .digestMismatch)
            }
        }
    }

    /// The versionCode that a trusted comment names.
    ///
    /// - Throws: if none of the keys signed the comment, or the comment names no version.
    public func claimedVersion(_ sidecar: [UInt8]) throws(VerificationFailure) -> Int {
        guard let code = try trusted(sidecar).claims.versionCode else {
            throw VerificationFailure("its trusted comment does not say which version it signs", .signatureMismatch)
        }
        return code
    }

    /// Who signed what, according to a signature whose trusted comment one of the keys signed. The content of the file is not
    /// verified: ``Expectation`` does that.
    public func statement(_ sidecar: [UInt8]) throws(VerificationFailure) -> SignatureStatement {
        let (signature, key, claims) = try trusted(sidecar)
        return SignatureStatement(
            key: key, trustedComment: signature.trustedComment, versionCode: claims.versionCode, urlKey: claims.urlKey,
            devModelKey: claims.devModelKey, minVersionCode: claims.minVersionCode)
    }

    /// The signature, if one of the keys signed its trusted comment.
    private func trusted(
        _ sidecar: [UInt8]
    ) throws(VerificationFailure) -> (signature: MinisignSignature, key: MinisignKey, claims: Claims) {
        let signature: MinisignSignature
        do throws(MinisignSignature.Failure) {
            signature = try MinisignSignature(sidecar)
        } catch {
            let line =
                switch error {
                case .legacy: "its signature is of minisign's legacy form: sign it with minisign -S -H"
                case .malformed(let why): "its signature file makes no sense: \(why)"
                }
            throw VerificationFailure(line, .signatureInvalid)
        }
        guard let key = signature.signer(among: keys) else {
            let known = keys.contains { $0.id == signature.keyID }
            throw VerificationFailure(
                known
                    ? "the signature of its trusted comment is wrong"
                    : "it is signed by key \(MinisignKey.name(signature.keyID)), which is not among the trusted keys",
                known ? .signatureInvalid : .keyUntrusted)
        }
        guard let claims = Claims(signature.trustedComment) else {
            throw VerificationFailure("its trusted comment contradicts itself", .signatureInvalid)
        }
        guard !claims.hasInvalidMinimum else {
            throw VerificationFailure(
                "the minVersionCode in its trusted comment is not a positive number", .signatureInvalid)
        }
        return (signature, key, claims)
    }

    private func signatureExpectation(
        _ sidecar: [UInt8], _ offer: Offer, _ devModelKey: String?
    ) throws(VerificationFailure) -> Expectation {
        let (signature, key, claims) = try trusted(sidecar)
        if let mismatch = claims.mismatch(
            offer, devModelKey: devModelKey, requireVersionCode: policy.requireVersionCode)
        {
            throw VerificationFailure(mismatch, .signatureMismatch)
        }
        return Expectation(digest: Digest(.blake2b512), minVersionCode: claims.minVersionCode) {
            digest throws(VerificationFailure) in
            guard digest.count == 64, key.verifies(signature.signature, of: digest) else {
                throw VerificationFailure("its content is not what was signed", .signatureInvalid)
            }
        }
    }

    /// Copies an open file to a path that no other user can write to, and verifies the copy: ``ArtifactCopy``.
    public func copy(
        _ source: OpenFile, sidecar: [UInt8]?, of offer: Offer, devModelKey: String?, sizeLimit: ByteCount,
        keepFree: ByteCount = 0, to destination: String
    ) throws -> VerifiedArtifact {
        let copy = try copying(
            source, sidecar: sidecar, of: offer, devModelKey: devModelKey, sizeLimit: sizeLimit, keepFree: keepFree,
            to: destination)
        while true { if let verified = try copy.next() { return verified } }
    }

    /// Begins to copy an open file to a path that no other user can write to.
    ///
    /// - Parameters:
    ///   - sizeLimit: bytes; a longer file is refused.
    ///   - keepFree: bytes of disk space that must stay free.
    /// - Throws: `VerificationFailure`, or `SystemError` if there is not enough disk space, or the copy cannot be created.
    public func copying(
        _ source: OpenFile, sidecar: [UInt8]?, of offer: Offer, devModelKey: String?, sizeLimit: ByteCount,
        keepFree: ByteCount = 0, to destination: String
    ) throws -> ArtifactCopy {
        unlink(destination)
        let expectation = try expectation(sidecar: sidecar, offer: offer, devModelKey: devModelKey)
        guard source.isRegular else { throw VerificationFailure("it is not a regular file", .jobInvalid) }
        let announced = try source.size
        let tooLong = "it is longer than download.sizeLimit, \(describe(configuredSize: sizeLimit))"
        guard announced <= sizeLimit else { throw VerificationFailure(tooLong, .fileTooLarge) }
        try Files.checkSpace(for: announced, at: destination, keepFree: keepFree)
        let target = try OpenFile(destination, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
        let copy = ArtifactCopy(source, target, destination, offer, expectation, announced: announced)
        do {
            if announced > 0 { try target.reserve(from: 0, count: announced) }
        } catch {
            copy.discard()
            throw error
        }
        return copy
    }
}

/// A copy of an artifact that is being made and verified. The verified bytes are the bytes that are installed. If it fails, nothing
/// remains of it.
public final class ArtifactCopy {
    /// Bytes of one call of ``next()``, which are also on the disk after it: a stop does not wait for more.
    private static let part = 8 << 20

    private let source: OpenFile
    private let target: OpenFile
    private let destination: String
    private let offer: Offer
    private let expectation: ArtifactVerifier.Expectation
    private let announced: ByteCount
    private var size: ByteCount = 0
    private var buffer = [UInt8](repeating: 0, count: 256 * 1024)

    fileprivate init(
        _ source: OpenFile, _ target: OpenFile, _ destination: String, _ offer: Offer,
        _ expectation: ArtifactVerifier.Expectation, announced: ByteCount
    ) {
        self.source = source
        self.target = target
        self.destination = destination
        self.offer = offer
        self.expectation = expectation
        self.announced = announced
    }

    /// Copies the next part.
    ///
    /// - Returns: the verified copy after the last part, else nil.
    /// - Throws: `VerificationFailure`, or `SystemError` if reading or writing fails.
    public func next() throws -> VerifiedArtifact? {
        do {
            var rest = Self.part
            while rest > 0 {
                let count = try source.read(into: &buffer)
                if count == 0 { return try finish() }
                let bytes = buffer.span.extracting(first: count).bytes
                expectation.digest?.add(bytes)
                try target.write(bytes)
                size += ByteCount(count)
                rest -= count
                // Its owner may append to it: the space for more was not checked.
                guard size <= announced else { throw VerificationFailure("it grew while it was copied", .jobInvalid) }
            }
            try target.synchronize()
            return nil
        } catch {
            discard()
            throw error
        }
    }

    private func finish() throws -> VerifiedArtifact {
        try target.synchronize()
        try expectation.verify()
        return VerifiedArtifact(
            path: destination, size: size, offer: offer, minVersionCode: expectation.minVersionCode)
    }

    /// Removes what has been copied.
    public func discard() { unlink(destination) }
}
