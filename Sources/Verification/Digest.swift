import CCrypto
import Host

/// libcrypto, which is loaded at its first use. If it cannot be loaded, every digest is empty and no signature is valid. A
/// caller must check ``problem`` first, or it would blame the file.
public enum CryptoLibrary {
    /// Why the library cannot be loaded, as one line for the operator; nil if it is available.
    public static var problem: String? {
        upgradelink_load_crypto().map { "\(String(cString: $0)); install OpenSSL 3 (Debian's package libssl3)" }
    }
}

public enum DigestAlgorithm: Sendable {
    /// Only for the signature of API requests, which the server defines this way.
    case md5
    case sha256
    /// The digest that minisign signs.
    case blake2b512
}

/// Computes a digest piece by piece with libcrypto.
public final class Digest {
    /// libcrypto's context, which one thread at a time may use: that of the pipeline from `add` on, and the caller's again after
    /// `BytePipeline.finish()`, which waits until the other one has used it.
    private struct Context: @unchecked Sendable {  // Unchecked because `finish()` waits for the other thread.
        let pointer: OpaquePointer?
    }

    private let context: OpaquePointer?
    private let algorithm: DigestAlgorithm
    private let pipeline: BytePipeline?

    /// - Parameter isParallel: computes on a thread of its own, while the caller reads the next bytes of a large file.
    public init(_ algorithm: DigestAlgorithm, isParallel: Bool = false) {
        self.algorithm = algorithm
        let context = Context(pointer: EVP_MD_CTX_new())
        self.context = context.pointer
        pipeline = isParallel ? BytePipeline { Self.update(context.pointer, $0) } : nil
        start()
    }

    deinit {
        pipeline?.finish()
        EVP_MD_CTX_free(context)
    }

    private static func update(_ context: OpaquePointer?, _ bytes: RawSpan) {
        bytes.withUnsafeBytes { _ = EVP_DigestUpdate(context, $0.baseAddress, $0.count) }
    }

    private func start() {
        let type =
            switch algorithm {
            case .md5: EVP_md5()
            case .sha256: EVP_sha256()
            case .blake2b512: EVP_blake2b512()
            }
        // This fails only without memory, or if a policy forbids the algorithm. The digest is then empty and equals no
        // expected digest.
        EVP_DigestInit_ex(context, type, nil)
    }

    /// Starts again without the bytes that were added.
    public func restart() {
        pipeline?.finish()
        start()
    }

    public func add(_ bytes: RawSpan) {
        if let pipeline { pipeline.add(bytes) } else { Self.update(context, bytes) }
    }

    /// The digest of all added bytes; empty if libcrypto failed. Only ``restart()`` may be called afterwards.
    public func finish() -> [UInt8] {
        pipeline?.finish()
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
