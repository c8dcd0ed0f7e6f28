public import UpdateCore

/// Why a file could not be verified, as one line.
public struct VerificationFailure: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
    public let code: ReasonCode

    init(_ description: String, _ code: ReasonCode) { (self.description, self.code) = (description, code) }
}

/// A file that this process has verified completely. Only this module can create one.
public struct VerifiedArtifact: Sendable {
    public let path: String
    /// Bytes.
    public let size: ByteCount
    public let offer: Offer
    /// `minVersionCode=` of the signature's trusted comment.
    public let minVersionCode: Int?

    init(path: String, size: ByteCount, offer: Offer, minVersionCode: Int?) {
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
        var minVersionCode: Int?
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
        return Expectation(digest: Digest(.sha256, isParallel: true), minVersionCode: nil) {
            digest throws(VerificationFailure) in
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
        return Expectation(digest: Digest(.blake2b512, isParallel: true), minVersionCode: claims.minVersionCode) {
            digest throws(VerificationFailure) in
            guard digest.count == 64, key.verifies(signature.signature, of: digest) else {
                throw VerificationFailure("its content is not what was signed", .signatureInvalid)
            }
        }
    }
}
