import UpdateCore

/// A text for the terminal. Only the literals of this program enter it unchanged. Every value is sanitised: it may come from a
/// taken-over agent, from the bus, from a file or from the command line. ``say(_:)`` and ``complain(_:)`` take nothing else.
struct Shown: ExpressibleByStringInterpolation, Equatable {
    private(set) var text: String

    /// Characters. A longer value is cut.
    static let valueLimit = 1000

    init(stringLiteral literal: String) { text = literal }

    init(stringInterpolation: Interpolation) { text = stringInterpolation.text }

    /// A part of a text that was made of these.
    init(harmless text: String) { self.text = text }

    /// Several lines, each of them sanitised, with the spaces at their beginning.
    init(lines: String) { text = lines.sanitizedLines(limit: 20 * Self.valueLimit) }

    struct Interpolation: StringInterpolationProtocol {
        fileprivate var text = ""

        init(literalCapacity: Int, interpolationCount: Int) {}

        mutating func appendLiteral(_ literal: String) { text += literal }

        mutating func appendInterpolation(_ part: Shown) { text += part.text }

        mutating func appendInterpolation(_ number: some BinaryInteger) { text += number.description }

        mutating func appendInterpolation(_ value: some Any, limit: Int = Shown.valueLimit) {
            text += "\(value)".sanitized(limit: limit)
        }
    }

    var isEmpty: Bool { text.isEmpty }

    func padding(to width: Int) -> Shown {
        var padded = self
        padded.text += String(repeating: " ", count: max(0, width - text.count))
        return padded
    }

    static func + (one: Shown, other: Shown) -> Shown { "\(one)\(other)" }
}
