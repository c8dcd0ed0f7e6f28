import UpdateCore

/// A header `Content-Range` (RFC 9110, section 14.4), read with the blanks that servers put into it.
enum ContentRange: Equatable {
    /// `bytes 100-199/200`; the total is nil for `*`.
    case range(first: ByteCount, last: ByteCount, total: ByteCount?)
    /// `bytes */200`, with HTTP 416.
    case unsatisfied(total: ByteCount)

    init?(_ header: String) {
        let text = header.lowercased().filter { $0 != " " && $0 != "\t" }
        guard text.hasPrefix("bytes") else { return nil }
        let halves = text.dropFirst(5).drop { $0 == "=" || $0 == ":" }.split(
            separator: "/", omittingEmptySubsequences: false)
        guard halves.count == 2 else { return nil }
        let total = Self.number(halves[1])
        guard total != nil || halves[1] == "*" else { return nil }
        if halves[0] == "*" {
            guard let total else { return nil }
            self = .unsatisfied(total: total)
            return
        }
        let ends = halves[0].split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let first = Self.number(ends[0]), let last = Self.number(ends[1]) else { return nil }
        guard first <= last, last < total ?? ByteCount.max else { return nil }
        self = .range(first: first, last: last, total: total)
    }

    private static func number(_ text: Substring) -> ByteCount? {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? ByteCount(text) : nil
    }
}
