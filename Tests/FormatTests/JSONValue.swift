import FoundationEssentials

/// A JSON value of any type, to inspect stored files without the types that read them.
indirect enum JSONValue: Codable, Hashable, Sendable {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case text(String)
    case list([JSONValue])
    case object([String: JSONValue])

    init(_ bytes: [UInt8]) throws { self = try JSONDecoder().decode(Self.self, from: Data(bytes)) }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .text(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .list(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .text(let value): try container.encode(value)
        case .list(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }

    var bytes: [UInt8] { get throws { Array(try JSONEncoder().encode(self)) } }

    subscript(_ key: String) -> JSONValue? {
        if case .object(let fields) = self { fields[key] } else { nil }
    }

    /// The path of every contained value: names of fields and indices of elements.
    var paths: [[String]] {
        switch self {
        case .object(let fields):
            fields.sorted { $0.key < $1.key }.flatMap { key, value in
                [[key]] + value.paths.map { [key] + $0 }
            }
        case .list(let elements):
            elements.enumerated().flatMap { index, value in
                [["\(index)"]] + value.paths.map { ["\(index)"] + $0 }
            }
        case .null, .bool, .integer, .number, .text: []
        }
    }

    /// A copy with another value at a path, or without that value.
    func replacing(_ path: ArraySlice<String>, with value: JSONValue?) -> JSONValue {
        guard let first = path.first else { return value ?? .null }
        let rest = path.dropFirst()
        switch self {
        case .object(var fields):
            fields[first] = rest.isEmpty ? value : fields[first]?.replacing(rest, with: value)
            return .object(fields)
        case .list(var elements):
            guard let index = Int(first), elements.indices.contains(index) else { return self }
            if rest.isEmpty, value == nil {
                elements.remove(at: index)
            } else {
                elements[index] = rest.isEmpty ? value ?? .null : elements[index].replacing(rest, with: value)
            }
            return .list(elements)
        case .null, .bool, .integer, .number, .text: return self
        }
    }

    /// Whether this value has everything that `other` has; it may have more fields.
    func contains(_ other: JSONValue) -> Bool {
        switch (self, other) {
        case (.object(let own), .object(let fields)):
            fields.allSatisfy { key, value in own[key].map { $0.contains(value) } ?? (value == .null) }
        case (.list(let own), .list(let elements)):
            own.count == elements.count && zip(own, elements).allSatisfy { $0.contains($1) }
        case (.integer(let own), .number(let number)), (.number(let number), .integer(let own)):
            Double(own) == number
        case (.number(let own), .number(let number)): abs(own - number) <= abs(number) * 1e-12
        default: self == other
        }
    }
}
