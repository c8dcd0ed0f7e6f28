// What is stored must stay readable for the next and the previous version: an update replaces the agent, and a rollback brings
// an older one back. A reader therefore takes what it knows: an unknown field or case costs only itself.

/// The format of stored files, which each of them names in its field `format`.
public enum StoredFormat {
    /// 1 is what 0.1.0 wrote, without the field. It rises when an older version can no longer read what is written.
    public static let current = 2
}

/// Collects what a reader could not read, for one line in the log. It is given to the decoder under
/// ``CodingUserInfoKey/unreadable``.
///
/// `@unchecked Sendable`, which a decoder demands: it belongs to one call of a decoder, on one thread.
public final class UnreadableFields: @unchecked Sendable {
    public private(set) var paths: [String] = []

    public init() {}

    fileprivate func add(_ path: [any CodingKey]) {
        paths.append(path.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: "."))
    }
}

extension CodingUserInfoKey {
    // A raw value that is a literal is always one.
    public static let unreadable = CodingUserInfoKey(rawValue: "unreadable")!
}

extension Decoder {
    fileprivate func note(_ path: [any CodingKey]) { (userInfo[.unreadable] as? UnreadableFields)?.add(path) }
}

/// Reads the fields of a stored value one by one.
package struct StoredFields<Key: CodingKey> {
    private let container: KeyedDecodingContainer<Key>
    private let decoder: any Decoder

    package init(_ decoder: any Decoder, _ keys: Key.Type) throws {
        container = try decoder.container(keyedBy: keys)
        self.decoder = decoder
    }

    /// Nil if it is missing or cannot be read.
    package func optional<Value: Decodable>(_ key: Key, _ type: Value.Type = Value.self) -> Value? {
        do {
            return try container.decodeIfPresent(Value.self, forKey: key)
        } catch {
            decoder.note(container.codingPath + [key])
            return nil
        }
    }

    /// The value, or what stands for one that is missing or cannot be read.
    package func value<Value: Decodable>(_ key: Key, or standard: @autoclosure () -> Value) -> Value {
        optional(key) ?? standard()
    }

    /// It is there, and not null.
    package func contains(_ key: Key) -> Bool {
        container.contains(key) && (try? container.decodeNil(forKey: key)) != true
    }

    package func required<Value: Decodable>(_ key: Key, _ type: Value.Type = Value.self) throws -> Value {
        try container.decode(Value.self, forKey: key)
    }

    /// The elements that can be read, the last `limit` of them.
    package func list<Element: Decodable>(_ key: Key, limit: Int) -> [Element] {
        let elements: [Readable<Element>] = value(key, or: [])
        return elements.compactMap(\.value).suffix(limit)
    }

    private struct Readable<Value: Decodable>: Decodable {
        let value: Value?

        init(from decoder: any Decoder) {
            value = try? Value(from: decoder)
            if value == nil { decoder.note(decoder.codingPath) }
        }
    }
}
