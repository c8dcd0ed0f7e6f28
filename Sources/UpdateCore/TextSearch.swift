// The same functions as in Swift's _StringProcessing, which the installed programs do not import: it brings the engine of
// regular expressions, 1 MB. They are disfavoured, because the tests import both. They compare bytes, not characters: what
// they find are parts in ASCII.

extension StringProtocol {
    /// Whether `part` occurs in this text. An empty part occurs everywhere.
    @_disfavoredOverload
    public func contains(_ part: String) -> Bool { firstRange(of: part) != nil }

    /// Where `part` occurs first.
    @_disfavoredOverload
    public func firstRange(of part: String) -> Range<Index>? {
        var start = utf8.startIndex
        while true {
            let rest = utf8[start...]
            if rest.starts(with: part.utf8) {
                return start..<utf8.index(start, offsetBy: part.utf8.count)
            }
            guard start < utf8.endIndex else { return nil }
            start = utf8.index(after: start)
        }
    }

    /// This text with `other` in each place of `part`, which is not empty.
    @_disfavoredOverload
    public func replacing(_ part: String, with other: String) -> String {
        var result = ""
        var rest = self[...]
        while let range = rest.firstRange(of: part), !part.isEmpty {
            result += String(rest[..<range.lowerBound]) + other
            rest = rest[range.upperBound...]
        }
        return result + String(rest)
    }
}
