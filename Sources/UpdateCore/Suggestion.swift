/// The known name that a misspelled one probably means; nil if no known name is similar. Upper and lower case, hyphens and
/// underscores make no difference.
///
/// Similar names differ in at most a third of their characters, and in three at most: an inserted, a missing or a wrong
/// character, or two neighbours in the wrong order. A beginning of three characters or more that only one known name has is
/// similar, too. Among equally similar names, the first is returned.
public func suggestion(for name: String, among known: [String]) -> String? {
    // The comparison is quadratic.
    guard name.utf8.count <= 64 else { return nil }
    let wanted = normalized(name)
    guard !wanted.isEmpty else { return nil }
    var best: (name: String, distance: Int)?
    for candidate in known {
        let letters = normalized(candidate)
        let distance = distance(wanted, letters)
        let limit = min(max(wanted.count, letters.count) / 3, 3)
        if distance <= limit, distance < best?.distance ?? Int.max { best = (candidate, distance) }
    }
    if let best { return best.name }
    let continued = known.filter { normalized($0).starts(with: wanted) }
    return wanted.count >= 3 && continued.count == 1 ? continued[0] : nil
}

/// Whether two names differ in upper and lower case, hyphens and underscores only.
public func isSpelledAlike(_ name: String, _ other: String) -> Bool { normalized(name) == normalized(other) }

private func normalized(_ name: String) -> [Character] {
    Array(name.lowercased()).filter { $0 != "-" && $0 != "_" }
}

/// The number of insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
private func distance(_ one: [Character], _ other: [Character]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...other.count)
    for (row, character) in one.enumerated() {
        var current = [row + 1]
        for (column, otherCharacter) in other.enumerated() {
            let isEqual = character == otherCharacter
            var cost = min(last[column] + (isEqual ? 0 : 1), last[column + 1] + 1, current[column] + 1)
            if row > 0, column > 0, character == other[column - 1], one[row - 1] == otherCharacter {
                cost = min(cost, beforeLast[column - 1] + 1)
            }
            current.append(cost)
        }
        (beforeLast, last) = (last, current)
    }
    return last[other.count]
}
