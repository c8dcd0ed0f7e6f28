/// A header `Content-Range: bytes 100-199/200` (RFC 9110, section 14.4) with a known total.
struct ContentRange: Equatable {
    var first: Int
    var last: Int
    var total: Int

    init?(_ text: String) {
        guard text.lowercased().hasPrefix("bytes ") else { return nil }
        let halves = text.dropFirst(6).split(separator: "/", omittingEmptySubsequences: false)
        guard halves.count == 2, let total = Int(halves[1]) else { return nil }
        let ends = halves[0].split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let first = Int(ends[0]), let last = Int(ends[1]) else { return nil }
        guard first >= 0, first <= last, last < total else { return nil }
        self.first = first
        self.last = last
        self.total = total
    }
}
