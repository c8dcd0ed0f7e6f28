import CSystemd
import Glibc

/// A D-Bus value (D-Bus specification, "Type System").
public indirect enum BusValue: Hashable, Sendable {
    case string(String)
    case boolean(Bool)
    case uint32(UInt32)
    case uint64(UInt64)
    case array(of: String, [BusValue])
    case structure([BusValue])
    case entry(BusValue, BusValue)
    case variant(BusValue)
    /// The bus sends a copy; the sender closes its own. A received one in a method call is closed with its ``BusCall``.
    case descriptor(CInt)
    /// A value of any other type; only its type code is kept.
    case other(String)

    /// An `a{sv}`.
    public static func dictionary(_ fields: [(String, BusValue)]) -> BusValue {
        .array(of: "{sv}", fields.map { .entry(.string($0.0), .variant($0.1)) })
    }

    /// The value's type (D-Bus specification, "Type System").
    public var signature: String {
        switch self {
        case .string: "s"
        case .boolean: "b"
        case .uint32: "u"
        case .uint64: "t"
        case .array(let element, _): "a" + element
        case .structure(let fields): "(" + fields.map(\.signature).joined() + ")"
        case .entry(let key, let value): "{" + key.signature + value.signature + "}"
        case .variant: "v"
        case .descriptor: "h"
        case .other(let signature): signature
        }
    }

    public var text: String? { if case .string(let text) = self { text } else { nil } }
    public var number: UInt64? {
        switch self {
        case .uint64(let number): number
        case .uint32(let number): UInt64(number)
        default: nil
        }
    }
    public var flag: Bool? { if case .boolean(let flag) = self { flag } else { nil } }
    public var items: [BusValue]? {
        switch self {
        case .array(_, let items), .structure(let items): items
        default: nil
        }
    }
    /// The fields of an `a{sv}`, without their variants; empty for another type.
    public var fields: [String: BusValue] {
        var fields: [String: BusValue] = [:]
        for case .entry(.string(let key), let value) in items ?? [] {
            if case .variant(let inner) = value { fields[key] = inner } else { fields[key] = value }
        }
        return fields
    }
}

/// Appends values to messages of sd-bus, and reads them. Results below zero are negative errno values.
enum BusCoding {
    static func append(_ value: BusValue, to message: OpaquePointer?) -> CInt {
        switch value {
        case .string(let text): return sd_bus_message_append_basic(message, kind("s"), text)
        case .boolean(let flag):
            var number: CInt = flag ? 1 : 0
            return sd_bus_message_append_basic(message, kind("b"), &number)
        case .uint32(var number): return sd_bus_message_append_basic(message, kind("u"), &number)
        case .uint64(var number): return sd_bus_message_append_basic(message, kind("t"), &number)
        case .descriptor(var number): return sd_bus_message_append_basic(message, kind("h"), &number)
        case .array(let element, let items): return append(items, to: message, in: "a", element)
        case .structure(let items): return append(items, to: message, in: "r", items.map(\.signature).joined())
        case .entry(let key, let value):
            return append([key, value], to: message, in: "e", key.signature + value.signature)
        case .variant(let inner): return append([inner], to: message, in: "v", inner.signature)
        case .other: return -EINVAL
        }
    }

    private static func append(
        _ items: [BusValue], to message: OpaquePointer?, in container: Character, _ contents: String
    ) -> CInt {
        var result = sd_bus_message_open_container(message, kind(container), contents)
        for item in items where result >= 0 { result = append(item, to: message) }
        return result < 0 ? result : sd_bus_message_close_container(message)
    }

    /// Reads all values from the message's current position. D-Bus allows at most 64 levels of containers, which bounds the
    /// recursion.
    static func read(_ message: OpaquePointer?) -> [BusValue] {
        var values: [BusValue] = []
        while let value = readOne(message) { values.append(value) }
        return values
    }

    private static func readOne(_ message: OpaquePointer?) -> BusValue? {
        var type: CChar = 0
        var contents: UnsafePointer<CChar>?
        guard sd_bus_message_peek_type(message, &type, &contents) > 0 else { return nil }
        let signature = contents.map { String(cString: $0) } ?? ""
        switch Character(UnicodeScalar(UInt8(bitPattern: type))) {
        case "s", "o", "g":
            var text: UnsafePointer<CChar>?
            guard sd_bus_message_read_basic(message, type, &text) > 0, let text else { return nil }
            return .string(String(cString: text))
        case "b":
            var number: CInt = 0
            return sd_bus_message_read_basic(message, type, &number) > 0 ? .boolean(number != 0) : nil
        case "u":
            var number: UInt32 = 0
            return sd_bus_message_read_basic(message, type, &number) > 0 ? .uint32(number) : nil
        case "t":
            var number: UInt64 = 0
            return sd_bus_message_read_basic(message, type, &number) > 0 ? .uint64(number) : nil
        case "h":
            var number: CInt = -1
            guard sd_bus_message_read_basic(message, type, &number) > 0 else { return nil }
            // The message owns the descriptor and closes it, so the value needs a copy.
            return .descriptor(fcntl(number, F_DUPFD_CLOEXEC, 3))
        case "a": return container(message, type, signature).map { .array(of: signature, $0) }
        case "r": return container(message, type, signature).map { .structure($0) }
        case "v": return container(message, type, signature).flatMap { $0.first.map { .variant($0) } }
        case "e":
            return container(message, type, signature).flatMap { $0.count == 2 ? .entry($0[0], $0[1]) : nil }
        case let other:
            guard sd_bus_message_skip(message, String(other)) > 0 else { return nil }
            return .other(String(other))
        }
    }

    private static func container(_ message: OpaquePointer?, _ type: CChar, _ contents: String) -> [BusValue]? {
        guard sd_bus_message_enter_container(message, type, contents) > 0 else { return nil }
        let items = read(message)
        return sd_bus_message_exit_container(message) < 0 ? nil : items
    }

    private static func kind(_ character: Character) -> CChar {
        CChar(bitPattern: character.asciiValue ?? 0)
    }
}
