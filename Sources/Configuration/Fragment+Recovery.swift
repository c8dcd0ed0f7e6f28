import TOML

/// The lines of a file that is not TOML, without those that are wrong: the other lines are checked as well.
struct RemainingLines {
    private var lines: [[UInt8]]
    /// With those that are wrong.
    private let all: [Substring]

    /// What follows an error.
    enum Rest {
        /// The other lines can be parsed.
        case continues
        /// The lines of one section are left out. They are this document, if they can be parsed alone.
        case section(TOMLTable?)
        /// It is not clear where the next option begins. These are the lines before the error, if they can be parsed.
        case unknown(TOMLTable?)
    }

    /// Errors of one file. An error may follow from the one before.
    static let limit = 10
    /// Lines of a wrong option.
    private static let longestOption = 30

    init(_ bytes: [UInt8], _ all: [Substring]) {
        lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Array.init)
        self.all = all
    }

    var bytes: [UInt8] { Array(lines.joined(separator: [UInt8(ascii: "\n")])) }

    /// The lines before this one as a document; nil if they are none.
    func before(_ line: Int) -> TOMLTable? {
        guard line <= lines.count else { return nil }
        return try? TOMLTable(parsing: Array(lines[..<(line - 1)].joined(separator: [UInt8(ascii: "\n")])))
    }

    /// Leaves out what is wrong at this line. Each line keeps its number.
    mutating func leaveOut(errorAt line: Int) -> Rest {
        // The option begins behind the last line up to which the file is a document.
        let start = (max(1, line - Self.longestOption)...max(1, line)).last { before($0) != nil }
        guard let start, lines.indices.contains(start - 1) else { return .unknown(nil) }
        let text = String(decoding: lines[start - 1], as: UTF8.self).drop { $0 == " " || $0 == "\t" }
        if text.hasPrefix("[") {
            let next = lines[start...].firstIndex { $0.first { $0 != 0x20 && $0 != 0x09 } == UInt8(ascii: "[") }
            let section = (start - 1)..<(next ?? lines.endIndex)
            var alone = lines[..<section.upperBound]
            for index in alone.indices where !section.contains(index) { alone[index] = [] }
            let table = try? TOMLTable(parsing: Array(alone.joined(separator: [UInt8(ascii: "\n")])))
            section.forEach { lines[$0] = [] }
            return .section(table)
        }
        // A list or a text of several lines may end at any of the next lines.
        let opening = text.count { "[{".contains($0) }
        let closing = text.count { "]}".contains($0) }
        guard opening == closing, !text.contains("\"\"\""), !text.contains("'''") else {
            return .unknown(before(start))
        }
        lines[start - 1] = []
        return .continues
    }

    /// Whether there is more than blanks and comments behind this line, up to the next section or the end.
    func hasOptions(after line: Int, inSection: Bool) -> Bool {
        for text in all.dropFirst(line) {
            let first = text.first { !" \t\r".contains($0) }
            if inSection, first == "[" { return false }
            if let first, first != "#" { return true }
        }
        return false
    }
}
