import CSystemd
import Glibc

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

    /// Reads the texts and numbers of a method call whose types are known to be basic ones. Descriptors stay in the message.
    ///
    /// - Parameter limit: bytes of each text.
    /// - Returns: nil if a text is longer, or a value cannot be read.
    static func readArguments(_ message: OpaquePointer?, types: String, limit: Int) -> [BusValue]? {
        var values: [BusValue] = []
        for type in types {
            switch type {
            case "s":
                var text: UnsafePointer<CChar>?
                guard sd_bus_message_read_basic(message, kind(type), &text) > 0, let text,
                    strnlen(text, limit + 1) <= limit
                else { return nil }
                values.append(.string(String(cString: text)))
            case "t":
                var number: UInt64 = 0
                guard sd_bus_message_read_basic(message, kind(type), &number) > 0 else { return nil }
                values.append(.uint64(number))
            default:
                guard sd_bus_message_skip(message, String(type)) > 0 else { return nil }
                values.append(.other(String(type)))
            }
        }
        return values
    }

    /// The descriptors of a method call whose arguments are descriptors only. The message owns them.
    static func readDescriptors(_ message: OpaquePointer?) -> [CInt] {
        sd_bus_message_rewind(message, 1)
        var descriptors: [CInt] = []
        var number: CInt = -1
        while sd_bus_message_read_basic(message, kind("h"), &number) > 0 { descriptors.append(number) }
        return descriptors
    }

    static func kind(_ character: Character) -> CChar { CChar(bitPattern: character.asciiValue ?? 0) }
}

/// Reads the values of a reply or a signal. When a message contains more values than any of ours, the other elements of its
/// arrays are skipped, and so are numbers of types that this project does not use. A message therefore needs no more memory than
/// a small multiple of its size.
struct BusReader {
    /// A list of 64 inhibitors or of all attempts has some hundred.
    static let maximumValues = 16_384

    private let message: OpaquePointer?
    private var left = Self.maximumValues

    /// Nil if the message cannot be read to its end.
    static func read(_ message: OpaquePointer?) -> [BusValue]? {
        var reader = BusReader(message)
        return reader.values(areOutermost: true)
    }

    private init(_ message: OpaquePointer?) { self.message = message }

    /// D-Bus allows at most 64 levels of containers, which bounds the recursion.
    private mutating func values(areOutermost: Bool = false, areElements: Bool = false) -> [BusValue]? {
        var values: [BusValue] = []
        while true {
            var type: CChar = 0
            var contents: UnsafePointer<CChar>?
            let found = sd_bus_message_peek_type(message, &type, &contents)
            if found == 0 { return values }
            guard found > 0 else { return nil }
            if left <= 0, areElements {
                guard sd_bus_message_skip(message, nil) >= 0 else { return nil }
                continue
            }
            left -= 1
            guard
                let value = value(
                    Character(UnicodeScalar(UInt8(bitPattern: type))), contents.map { String(cString: $0) } ?? "",
                    isOutermost: areOutermost)
            else { return nil }
            values.append(value)
        }
    }

    private mutating func value(_ type: Character, _ contents: String, isOutermost: Bool) -> BusValue? {
        let code = BusCoding.kind(type)
        switch type {
        case "s", "o", "g":
            var text: UnsafePointer<CChar>?
            guard sd_bus_message_read_basic(message, code, &text) > 0, let text else { return nil }
            return .string(String(cString: text))
        case "b":
            var number: CInt = 0
            return sd_bus_message_read_basic(message, code, &number) > 0 ? .boolean(number != 0) : nil
        case "u":
            var number: UInt32 = 0
            return sd_bus_message_read_basic(message, code, &number) > 0 ? .uint32(number) : nil
        case "t":
            var number: UInt64 = 0
            return sd_bus_message_read_basic(message, code, &number) > 0 ? .uint64(number) : nil
        case "h" where isOutermost:
            var number: CInt = -1
            guard sd_bus_message_read_basic(message, code, &number) > 0 else { return nil }
            // The message owns the descriptor and closes it, so the value needs a copy.
            return .descriptor(fcntl(number, F_DUPFD_CLOEXEC, 3))
        case "a" where !["y", "n", "q", "i", "x", "d", "h"].contains(contents):
            return container(code, contents).map { .array(of: contents, $0) }
        case "r": return container(code, contents).map { .structure($0) }
        case "v": return container(code, contents).flatMap { $0.first.map { .variant($0) } }
        case "e": return container(code, contents).flatMap { $0.count == 2 ? .entry($0[0], $0[1]) : nil }
        default:
            let signature = String(type) + (type == "a" ? contents : "")
            return sd_bus_message_skip(message, signature) > 0 ? .other(signature) : nil
        }
    }

    private mutating func container(_ type: CChar, _ contents: String) -> [BusValue]? {
        guard sd_bus_message_enter_container(message, type, contents) > 0,
            let items = values(areElements: type == BusCoding.kind("a"))
        else { return nil }
        return sd_bus_message_exit_container(message) < 0 ? nil : items
    }
}
