/// The part of a file that a request asks for (RFC 9110, section 14).
enum ByteRange: Hashable {
    /// There is no range, or one that a server may ignore: another unit, several ranges, or none that is valid.
    case whole
    case part(Range<Int>)
    /// No byte of the file is in the range: HTTP 416.
    case unsatisfiable

    /// - Parameters:
    ///   - field: the header `Range`.
    ///   - size: of the file, in bytes.
    init(_ field: String, size: Int) {
        self = .whole
        let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].lowercased() == "bytes" else { return }
        let ends = parts[1].split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, ends.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }) else { return }
        switch (ends[0].isEmpty, ends[1].isEmpty) {
        case (true, true): return
        case (true, false):
            let count = Swift.min(Self.number(ends[1]), size)
            self = count == 0 ? .unsatisfiable : .part((size - count)..<size)
        case (false, let isOpen):
            let (first, last) = (Self.number(ends[0]), isOpen ? Int.max : Self.number(ends[1]))
            guard first <= last else { return }
            self = first < size ? .part(first..<(Swift.min(last, size - 1) + 1)) : .unsatisfiable
        }
    }

    /// A number that is too large is larger than every file.
    private static func number(_ digits: Substring) -> Int { Int(digits) ?? .max }
}
