import FoundationEssentials
import Glibc
import UpdateCore

/// Files that another version of this program may read: JSON with the number of its format (``StoredFormat``).
public enum StoredFile {
    private enum FormatKey: String, CodingKey { case format }

    private struct Content<Value: Encodable>: Encodable {
        let value: Value

        func encode(to encoder: any Encoder) throws {
            try value.encode(to: encoder)
            var fields = encoder.container(keyedBy: FormatKey.self)
            try fields.encode(StoredFormat.current, forKey: .format)
        }
    }

    /// A value that has been read, and the fields that could not be read and were omitted.
    public struct Found<Value: Sendable>: Sendable {
        public let value: Value
        public let unreadable: [String]
    }

    /// The file's content.
    ///
    /// - Parameter value: must encode as a JSON object.
    public static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(Content(value: value)))
    }

    /// Replaces the file.
    ///
    /// - Parameter limit: bytes; longer content is an EFBIG error, because no reader would accept it.
    public static func write(_ value: some Encodable, to path: String, limit: Int) throws {
        try write(try encode(value), to: path, limit: limit)
    }

    /// Replaces the file with content that has been encoded already.
    ///
    /// - Parameter limit: bytes; longer content is an EFBIG error.
    public static func write(_ bytes: [UInt8], to path: String, limit: Int) throws(SystemError) {
        guard bytes.count <= limit else { throw SystemError("write", path, code: EFBIG) }
        try Files.replace(path, with: bytes)
    }

    /// Reads a file.
    ///
    /// - Parameter limit: bytes; a longer file is an EFBIG error.
    /// - Throws: `SystemError` if the file cannot be read, `DecodingError` if its content cannot be decoded.
    /// - Returns: nil if there is no file.
    public static func read<Value: Decodable & Sendable>(
        _ type: Value.Type, from path: String, limit: Int
    ) throws -> Found<Value>? {
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try Files.read(path, limit: limit)
        } catch {
            if error.isNotFound { return nil }
            throw error
        }
        return try decode(type, from: bytes)
    }

    /// Decodes a file's content.
    public static func decode<Value: Decodable & Sendable>(
        _ type: Value.Type, from bytes: [UInt8]
    ) throws -> Found<Value> {
        let decoder = JSONDecoder()
        let unreadable = UnreadableFields()
        decoder.userInfo[.unreadable] = unreadable
        let value = try decoder.decode(type, from: Data(bytes))
        return Found(value: value, unreadable: unreadable.paths)
    }
}
