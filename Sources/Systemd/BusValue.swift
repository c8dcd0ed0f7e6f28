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
    /// The bus sends a copy; the sender closes its own, and the receiver of a reply the one that it received.
    case descriptor(CInt)
    /// A value of any other type, or a descriptor that is not taken; only its type is kept.
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
