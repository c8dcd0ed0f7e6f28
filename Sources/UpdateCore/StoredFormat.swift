// Stored files must stay readable for the next and the previous version: an update replaces the agent, and a rollback restores
// an older one. A reader therefore skips a field or a case that it does not know, and reads the rest.

/// The format number of stored files, in their field `format`.
public enum StoredFormat {
    /// 0.1.0 wrote format 1, without the field. The number rises when an older version can no longer read the files.
    public static let current = 2
}

/// Collects the fields that could not be read, for one line in the log. A decoder's user info has it under
/// ``CodingUserInfoKey/unreadable``.
///
/// A decoder's user info must be Sendable, and the core may not import a lock.
public final class UnreadableFields: @unchecked Sendable {  // Unchecked because one call of one decoder has it.
    public private(set) var paths: [String] = []

    public init() {}

    fileprivate func add(_ path: [any CodingKey]) {
        paths.append(path.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: "."))
    }
}

extension CodingUserInfoKey {
    /// The key of ``UnreadableFields``.
    // A literal is always a raw value.
    // swift-format-ignore: NeverForceUnwrap
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

    /// The value; nil if the field is missing or cannot be read.
    package func optional<Value: Decodable>(_ key: Key, _ type: Value.Type = Value.self) -> Value? {
        do {
            return try container.decodeIfPresent(Value.self, forKey: key)
        } catch {
            decoder.note(container.codingPath + [key])
            return nil
        }
    }

    /// The value; `standard` if the field is missing or cannot be read.
    package func value<Value: Decodable>(_ key: Key, or standard: @autoclosure () -> Value) -> Value {
        optional(key) ?? standard()
    }

    /// The field exists and is not null.
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
