import Glibc

/// Modes of files as chmod(1) takes them.
enum Permissions {
    /// The mode that a text gives to a file.
    ///
    /// - Parameters:
    ///   - text: an octal number such as 0755, or clauses such as u=rw,go=r.
    ///   - mode: what the clauses change.
    /// - Returns: nil if the text is neither.
    static func mode(_ text: String, of mode: mode_t) -> mode_t? {
        if let number = mode_t(text, radix: 8), !text.hasPrefix("+") { return number <= 0o7777 ? number : nil }
        var mode = mode
        for clause in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let changed = apply(clause, to: mode) else { return nil }
            mode = changed
        }
        return mode
    }

    /// The bits of user, group and others.
    private static let classes: [Character: mode_t] = ["u": 0o700, "g": 0o070, "o": 0o007, "a": 0o777]

    private static func apply(_ clause: Substring, to mode: mode_t) -> mode_t? {
        var rest = clause
        var mask: mode_t = 0
        while let bits = rest.first.flatMap({ classes[$0] }) {
            mask |= bits
            rest.removeFirst()
        }
        // Without a class, all of them, except what this process's umask (022) takes away.
        let hasClass = mask != 0
        if !hasClass { mask = 0o777 }
        guard !rest.isEmpty else { return nil }
        var mode = mode
        while let action = rest.popFirst() {
            guard "+-=".contains(action) else { return nil }
            let letters = rest.prefix { !"+-=".contains($0) }
            rest = rest.dropFirst(letters.count)
            guard var bits = bits(letters, mask, mode) else { return nil }
            if !hasClass { bits &= ~0o022 }
            switch action {
            case "+": mode |= bits
            case "-": mode &= ~bits
            default: mode = mode & ~mask | bits
            }
        }
        return mode
    }

    /// The bits that letters stand for.
    ///
    /// - Parameters:
    ///   - mask: the bits of the classes that get them.
    ///   - mode: the mode so far, which `X`, and the classes `u`, `g` and `o`, read.
    private static func bits(_ letters: Substring, _ mask: mode_t, _ mode: mode_t) -> mode_t? {
        switch letters {
        case "u": return (mode >> 6 & 7) * 0o111 & mask
        case "g": return (mode >> 3 & 7) * 0o111 & mask
        case "o": return (mode & 7) * 0o111 & mask
        default: break
        }
        var bits: mode_t = 0
        for letter in letters {
            switch letter {
            case "r": bits |= 0o444 & mask
            case "w": bits |= 0o222 & mask
            case "x": bits |= 0o111 & mask
            case "X": if mode & 0o111 != 0 { bits |= 0o111 & mask }
            case "s": bits |= (mask & 0o700 != 0 ? 0o4000 : 0) | (mask & 0o070 != 0 ? 0o2000 : 0)
            case "t": bits |= 0o1000
            default: return nil
            }
        }
        return bits
    }
}
