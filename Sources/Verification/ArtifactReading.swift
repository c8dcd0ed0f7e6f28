import Glibc
public import Host
public import UpdateCore

/// What is verified.
public enum ArtifactSource {
    /// A copy of the open file, which is made at a path that no other user can write to.
    case copy(OpenFile, to: String)
    /// The file itself, which this process has opened. The caller makes sure that no other process can change it, from now until it
    /// is installed. So many of its bytes are read through the page cache.
    case inPlace(OpenFile, cached: ByteCount)
}

extension ArtifactVerifier {
    /// Verifies an artifact: ``reading(_:sidecar:of:devModelKey:sizeLimit:keepFree:)``, to its end.
    public func verify(
        _ source: ArtifactSource, sidecar: [UInt8]?, of offer: Offer, devModelKey: String?, sizeLimit: ByteCount,
        keepFree: ByteCount = 0
    ) throws -> VerifiedArtifact {
        let reading = try reading(
            source, sidecar: sidecar, of: offer, devModelKey: devModelKey, sizeLimit: sizeLimit, keepFree: keepFree)
        while true { if let verified = try reading.next() { return verified } }
    }

    /// Begins to verify an artifact.
    ///
    /// - Parameters:
    ///   - sizeLimit: bytes; a longer file is refused.
    ///   - keepFree: bytes of disk space that must stay free next to a copy.
    /// - Throws: `VerificationFailure`, or `SystemError` if there is not enough disk space, or the copy cannot be created.
    public func reading(
        _ source: ArtifactSource, sidecar: [UInt8]?, of offer: Offer, devModelKey: String?, sizeLimit: ByteCount,
        keepFree: ByteCount = 0
    ) throws -> ArtifactReading {
        if case .copy(_, let destination) = source { unlink(destination) }
        let expectation = try expectation(sidecar: sidecar, offer: offer, devModelKey: devModelKey)
        switch source {
        case .inPlace(let file, let cached):
            let size = try size(of: file, limit: sizeLimit)
            let reader = SequentialReader(file, size: size, cached: cached)
            return ArtifactReading(file, reader, offer, expectation, size: size)
        case .copy(let file, let destination):
            let announced = try size(of: file, limit: sizeLimit)
            try Files.checkSpace(for: announced, at: destination, keepFree: keepFree)
            let target = try OpenFile(destination, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
            let reading = ArtifactReading(
                file, copyTo: target, destination, offer, expectation, announced: announced)
            do {
                if announced > 0 { try target.reserve(from: 0, count: announced) }
            } catch {
                reading.discard()
                throw error
            }
            return reading
        }
    }

    private func size(of file: OpenFile, limit: ByteCount) throws -> ByteCount {
        guard file.isRegular else { throw VerificationFailure("it is not a regular file", .jobInvalid) }
        let size = try file.size
        guard size <= limit else {
            throw VerificationFailure(
                "it is longer than download.sizeLimit, \(describe(configuredSize: limit))", .fileTooLarge)
        }
        return size
    }
}

/// An artifact that is being verified, and copied if the installer could not take it over. The verified bytes are the bytes that are
/// installed. If it fails, nothing remains of the copy.
public final class ArtifactReading {
    /// Bytes of one call of ``next()``, which are also on the disk after it: a stop does not wait for more.
    private static let part = 8 << 20

    private let source: OpenFile
    /// What reads the source, if that is verified where it is.
    private let reader: SequentialReader?
    private let target: OpenFile?
    private let destination: String
    private let offer: Offer
    private let expectation: ArtifactVerifier.Expectation
    private let announced: ByteCount
    private var size: ByteCount = 0
    private lazy var buffer = [UInt8](repeating: 0, count: 256 * 1024)

    fileprivate init(
        _ source: OpenFile, _ reader: SequentialReader, _ offer: Offer, _ expectation: ArtifactVerifier.Expectation,
        size: ByteCount
    ) {
        (self.source, self.reader, self.offer, self.expectation) = (source, reader, offer, expectation)
        (target, destination, announced) = (nil, source.path, size)
    }

    fileprivate init(
        _ source: OpenFile, copyTo target: OpenFile, _ destination: String, _ offer: Offer,
        _ expectation: ArtifactVerifier.Expectation, announced: ByteCount
    ) {
        self.source = source
        reader = nil
        self.target = target
        self.destination = destination
        self.offer = offer
        self.expectation = expectation
        self.announced = announced
    }

    /// Reads the next part.
    ///
    /// - Returns: the verified artifact after the last part, else nil.
    /// - Throws: `VerificationFailure`, or `SystemError` if reading or writing fails.
    public func next() throws -> VerifiedArtifact? {
        do {
            var rest = Self.part
            while rest > 0 {
                let count = try reader.map { try $0.next { expectation.digest?.add($0) } } ?? copyPart()
                if count == 0 { return try finish() }
                size += ByteCount(count)
                rest -= count
                // Its owner may append to it: the space for more was not checked.
                guard size <= announced else { throw VerificationFailure("it grew while it was copied", .jobInvalid) }
            }
            try target?.synchronize()
            return nil
        } catch {
            discard()
            throw error
        }
    }

    private func copyPart() throws -> Int {
        let count = try source.read(into: &buffer)
        let bytes = buffer.span.extracting(first: count).bytes
        expectation.digest?.add(bytes)
        try target?.write(bytes)
        return count
    }

    private func finish() throws -> VerifiedArtifact {
        // What was taken over may also be new to the disk.
        try (target ?? source).synchronize()
        try expectation.verify()
        return VerifiedArtifact(
            path: destination, size: size, offer: offer, minVersionCode: expectation.minVersionCode)
    }

    /// Removes what has been copied.
    public func discard() { if target != nil { unlink(destination) } }
}
