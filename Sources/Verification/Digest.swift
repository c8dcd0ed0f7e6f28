import CCrypto

/// libcrypto, which is loaded when it is needed. Without it no digest is equal to another, and no signature is right: who
/// would take that for a fault of the file must ask before.
public enum CryptoLibrary {
    /// What keeps it from being used, in a line for the operator.
    public static var problem: String? {
        upgradelink_load_crypto().map { "\(String(cString: $0)); install OpenSSL 3 (Debian's package libssl3)" }
    }
}

public enum DigestAlgorithm: Sendable {
    /// Only for the API's signature, which is made with it.
    case md5
    case sha256
    /// What minisign signs.
    case blake2b512
}

/// A digest computed piece by piece with libcrypto.
public final class Digest {
    private let context: OpaquePointer?
    private let algorithm: DigestAlgorithm

    public init(_ algorithm: DigestAlgorithm) {
        self.algorithm = algorithm
        context = EVP_MD_CTX_new()
        start()
    }

    deinit { EVP_MD_CTX_free(context) }

    private func start() {
        let type =
            switch algorithm {
            case .md5: EVP_md5()
            case .sha256: EVP_sha256()
            case .blake2b512: EVP_blake2b512()
            }
        // Fails only without memory, or under a policy that forbids the algorithm: the digest is then empty and
        // equals nothing.
        EVP_DigestInit_ex(context, type, nil)
    }

    /// Forgets what was added.
    public func restart() { start() }

    public func add(_ bytes: RawSpan) {
        bytes.withUnsafeBytes { _ = EVP_DigestUpdate(context, $0.baseAddress, $0.count) }
    }

    /// The digest of all that was added; the object is of no use afterwards but for ``restart()``.
    public func finish() -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var length: UInt32 = 0
        guard EVP_DigestFinal_ex(context, &digest, &length) == 1 else { return [] }
        return Array(digest[..<Int(length)])
    }

    public static func hex(_ algorithm: DigestAlgorithm, of bytes: [UInt8]) -> String {
        let digest = Digest(algorithm)
        digest.add(bytes.span.bytes)
        return hexadecimal(digest.finish())
    }
}

/// Two lower-case digits for each byte.
public func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef")
    return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
}
