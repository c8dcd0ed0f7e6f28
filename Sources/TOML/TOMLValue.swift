/// A place in a document. Both numbers count from 1; a column counts Unicode scalars.
public struct TOMLPosition: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number of the line.
    public let line: Int
    /// The number of the Unicode scalar in its line.
    public let column: Int

    /// A position at a line and a column.
    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    /// "LINE:COLUMN".
    public var description: String { "\(line):\(column)" }

    /// Whether the first position is before the second one in a document.
    public static func < (first: TOMLPosition, second: TOMLPosition) -> Bool {
        (first.line, first.column) < (second.line, second.column)
    }
}

/// Why a document is not TOML.
public struct TOMLError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The place where the parser stopped.
    public let position: TOMLPosition
    /// The reason, in one line.
    public let text: String

    /// "LINE:COLUMN: reason".
    public var description: String { "\(position): \(text)" }
}

/// A value of a document, and the place where it begins.
public struct TOMLValue: Sendable {
    /// What a value is.
    public enum Content: Sendable {
        /// A string of any of the four kinds.
        case string(String)
        /// A whole number.
        case integer(Int64)
        /// A floating-point number.
        case number(Double)
        /// `true` or `false`.
        case bool(Bool)
        /// A date, a time or both, as RFC 3339 writes it.
        case moment(String)
        /// A list, or an array of tables.
        case list([TOMLValue])
        /// A table: inline, with a header, or from the parts of a dotted key.
        case table(TOMLTable)
    }

    /// The value itself.
    public let content: Content
    /// Where the value begins.
    public let position: TOMLPosition
}

/// A table, and a whole document.
public struct TOMLTable: Sendable {
    /// A value of a table, and the place where its key begins.
    public struct Entry: Sendable {
        /// Where the key begins.
        public let position: TOMLPosition
        /// The value of the key.
        public let value: TOMLValue
    }

    /// The values, by their keys.
    public let entries: [String: Entry]
}
