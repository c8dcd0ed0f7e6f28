import FoundationEssentials

/// Any JSON value, to read replies whose types are not yet checked.
enum JSON: Decodable, Sendable {
    case null
    case bool(Bool)
    case integer(Int)
    /// Any other number. It is not exact.
    case number(Double)
    case string(String)
    case array([JSON])
    case object([String: JSON])

    /// Nil if the bytes are not one JSON value.
    init?(_ bytes: [UInt8]) {
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let text = bytes.dropFirst(bytes.starts(with: mark) ? mark.count : 0)
        guard let value = try? JSONDecoder().decode(JSON.self, from: Data(text)) else { return nil }
        self = value
    }

    init(from decoder: any Decoder) throws {
        if let fields = try? decoder.container(keyedBy: Key.self) {
            var object: [String: JSON] = [:]
            for key in fields.allKeys { object[key.stringValue] = try fields.decode(JSON.self, forKey: key) }
            self = .object(object)
            return
        }
        if var items = try? decoder.unkeyedContainer() {
            var array: [JSON] = []
            while !items.isAtEnd { array.append(try items.decode(JSON.self)) }
            self = .array(array)
            return
        }
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let bool = try? value.decode(Bool.self) {
            self = .bool(bool)
        } else if let integer = try? value.decode(Int.self), Self.isExact(integer, value) {
            self = .integer(integer)
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else {
            self = .string(try value.decode(String.self))
        }
    }

    /// Above 2^53 a number with a fraction or an exponent may have been rounded to this integer.
    private static func isExact(_ integer: Int, _ value: any SingleValueDecodingContainer) -> Bool {
        Int64(integer).magnitude <= 1 << 53 || (try? value.decode(Decimal.self)) == Decimal(integer)
    }

    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    var string: String? {
        if case .string(let text) = self { text } else { nil }
    }

    /// The string, or the empty string for null: servers send optional texts as null, or leave them out.
    var stringOrNothing: String? {
        if case .null = self { "" } else { string }
    }

    var integer: Int? {
        if case .integer(let integer) = self { integer } else { nil }
    }

    var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a truth value"
        case .integer(let number): "the number \(number)"
        case .number(let number): "the number \(number)"
        case .string(let text): "the text \"\(String(text.prefix(40)))\""
        case .array: "a list"
        case .object: "an object"
        }
    }
}
