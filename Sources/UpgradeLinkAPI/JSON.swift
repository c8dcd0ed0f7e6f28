import FoundationEssentials

/// Any JSON value, to read replies whose types are not yet checked.
enum JSON: Decodable, Sendable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSON])
    case object([String: JSON])

    /// Nil if the bytes are not one JSON value.
    init?(_ bytes: [UInt8]) {
        guard let value = try? JSONDecoder().decode(JSON.self, from: Data(bytes)) else { return nil }
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
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else {
            self = .string(try value.decode(String.self))
        }
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
        if case .number(let number) = self { Int(exactly: number) } else { nil }
    }

    var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a truth value"
        case .number(let number): "the number \(number)"
        case .string(let text): "the text \"\(String(text.prefix(40)))\""
        case .array: "a list"
        case .object: "an object"
        }
    }
}
