import Host

/// Writes an image to a slot. Blocks that are equal already are not written: flash wears by writing. Then everything is read back.
final class SlotWriter {
    private static let part = 4 << 20
    /// Bytes that are compared, and written, at a time.
    private static let block = 64 << 10
    /// After so many parts without an equal block, only one of ``sampling`` parts is compared: reading costs time.
    private static let patience = 16
    private static let sampling = 8

    private let file: DirectFile
    private let new = AlignedBuffer(part)
    private let old = AlignedBuffer(part)
    private var filled = 0
    private var checksums: [Int] = []
    private var partsWithoutEqual = 0
    /// Bytes of the image so far.
    private(set) var size: Int64 = 0
    /// Bytes that were equal already.
    private(set) var equal: Int64 = 0

    init(_ file: DirectFile) { self.file = file }

    func add(_ bytes: RawSpan) throws {
        var rest = bytes
        while rest.byteCount > 0 {
            let count = min(rest.byteCount, Self.part - filled)
            new.replace(from: filled, with: rest.extracting(first: count))
            filled += count
            rest = rest.extracting(droppingFirst: count)
            if filled == Self.part { try flush() }
        }
    }

    private func flush() throws {
        guard filled > 0 else { return }
        guard Int64(filled) <= file.capacity - size else {
            throw ModuleError("the image is longer than \(file.path)")
        }
        checksums.append(new.checksum(of: filled))
        let isCompared = partsWithoutEqual < Self.patience || checksums.count % Self.sampling == 0
        let present = isCompared ? try file.read(into: old, count: filled, at: size) : 0
        /// The start of the blocks that differ and are not written yet.
        var pending: Int?
        var equalHere: Int64 = 0
        for start in stride(from: 0, to: filled, by: Self.block) {
            let end = min(start + Self.block, filled)
            if end <= present, new.equals(old, in: start..<end) {
                equalHere += Int64(end - start)
                if let from = pending { try file.write(new, from..<start, at: size + Int64(from)) }
                pending = nil
            } else if pending == nil {
                pending = start
            }
        }
        if let from = pending { try file.write(new, from..<filled, at: size + Int64(from)) }
        if equalHere > 0 { partsWithoutEqual = 0 } else { partsWithoutEqual += 1 }
        equal += equalHere
        size += Int64(filled)
        filled = 0
    }

    /// Writes the rest, and waits until everything is on the disk.
    func finish() throws {
        try flush()
        try file.synchronize()
    }

    /// Reads the image back.
    ///
    /// - Parameter onProgress: called with the bytes that have been read.
    func verify(onProgress: (Int64) -> Void) throws {
        var offset: Int64 = 0
        for checksum in checksums {
            let count = Int(min(Int64(Self.part), size - offset))
            guard try file.read(into: old, count: count, at: offset) == count, old.checksum(of: count) == checksum
            else {
                throw ModuleError(
                    "\(file.path) does not have what was written, between \(offset) and \(offset + Int64(count)): replace the disk"
                )
            }
            offset += Int64(count)
            onProgress(offset)
        }
    }
}
