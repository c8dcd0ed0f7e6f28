import TOML

/// A type that can be read from a TOML value.
protocol TOMLReadable {
    init(_ value: TOMLValue, at path: String) throws(SimulatorConfiguration.Problem)
}

/// A table whose keys are the cases of an enumeration. Another key is an error.
struct TOMLFields<Key: CaseIterable & RawRepresentable<String>> {
    private let table: TOMLTable
    private let position: TOMLPosition
    private let path: String

    init(_ value: TOMLValue, at path: String) throws(SimulatorConfiguration.Problem) {
        guard case .table(let table) = value.content else { throw .wrongType(value, path, "a table") }
        try self.init(table, at: path, position: value.position)
    }

    init(
        _ table: TOMLTable, at path: String, position: TOMLPosition
    ) throws(SimulatorConfiguration.Problem) {
        (self.table, self.path, self.position) = (table, path, position)
        let unknown = table.entries.filter { Key(rawValue: $0.key) == nil }
        guard let first = unknown.min(by: { $0.value.position < $1.value.position }) else { return }
        let known = Key.allCases.map(\.rawValue).joined(separator: ", ")
        throw SimulatorConfiguration.Problem(
            first.value.position, "\(path.key(first.key)) is not a known key; allowed are \(known)")
    }

    /// The fields of a whole document.
    init(document: String) throws(SimulatorConfiguration.Problem) {
        let table: TOMLTable
        do throws(TOMLError) {
            table = try TOMLTable(parsing: Array(document.utf8))
        } catch {
            throw SimulatorConfiguration.Problem(error.position, "not TOML: \(error.text)")
        }
        try self.init(table, at: "", position: TOMLPosition(line: 1, column: 1))
    }

    /// The value of a key; nil if the key is absent.
    func optional<Value: TOMLReadable>(_ key: Key) throws(SimulatorConfiguration.Problem) -> Value? {
        guard let entry = table.entries[key.rawValue] else { return nil }
        return try Value(entry.value, at: path.key(key.rawValue))
    }

    /// The value of a required key.
    func required<Value: TOMLReadable>(_ key: Key) throws(SimulatorConfiguration.Problem) -> Value {
        guard let value: Value = try optional(key) else {
            throw SimulatorConfiguration.Problem(position, "\(path.key(key.rawValue)) is missing")
        }
        return value
    }
}

extension String {
    /// The path of a key in the table at this path.
    fileprivate func key(_ name: String) -> String { isEmpty ? name : "\(self).\(name)" }
}

extension SimulatorConfiguration.Problem {
    fileprivate static func wrongType(_ value: TOMLValue, _ path: String, _ allowed: String) -> Self {
        Self(value.position, "\(path) is not \(allowed)")
    }
}

extension String: TOMLReadable {
    init(_ value: TOMLValue, at path: String) throws(SimulatorConfiguration.Problem) {
        guard case .string(let text) = value.content else { throw .wrongType(value, path, "a string") }
        self = text
    }
}

extension Bool: TOMLReadable {
    init(_ value: TOMLValue, at path: String) throws(SimulatorConfiguration.Problem) {
        guard case .bool(let flag) = value.content else { throw .wrongType(value, path, "true or false") }
        self = flag
    }
}

extension Double: TOMLReadable {
    init(_ value: TOMLValue, at path: String) throws(SimulatorConfiguration.Problem) {
        switch value.content {
        case .number(let number): self = number
        case .integer(let number): self = Double(number)
        default: throw .wrongType(value, path, "a number")
        }
    }
}

extension TOMLReadable where Self: FixedWidthInteger {
    init(_ value: TOMLValue, at path: String) throws(SimulatorConfiguration.Problem) {
        guard case .integer(let number) = value.content, let number = Self(exactly: number) else {
            throw .wrongType(value, path, "a whole number from \(Self.min) to \(Self.max)")
        }
        self = number
    }
}

extension Int: TOMLReadable {}
extension UInt16: TOMLReadable {}

extension Array: TOMLReadable where Element: TOMLReadable {
    init(_ value: TOMLValue, at path: String) throws(SimulatorConfiguration.Problem) {
        guard case .list(let items) = value.content else { throw .wrongType(value, path, "a list") }
        self = []
        for (index, item) in items.enumerated() { append(try Element(item, at: "\(path)[\(index)]")) }
    }
}

extension Dictionary: TOMLReadable where Key == String, Value: TOMLReadable {
    init(_ value: TOMLValue, at path: String) throws(SimulatorConfiguration.Problem) {
        guard case .table(let table) = value.content else { throw .wrongType(value, path, "a table") }
        self = [:]
        for (key, entry) in table.entries { self[key] = try Value(entry.value, at: path.key(key)) }
    }
}
