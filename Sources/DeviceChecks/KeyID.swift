import FoundationEssentials

/// The number of a minisign key.
public struct KeyID: CustomStringConvertible, Hashable, Sendable {
    private let number: UInt64

    /// - Parameter text: a public key in base64: "Ed", the number in eight bytes, the lowest first, and the key (minisign(1)).
    public init?(of text: String) {
        guard let bytes = Data(base64Encoded: text), bytes.count == 42 else { return nil }
        number = bytes[2..<10].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// In hexadecimal digits as minisign prints it, without leading zeros.
    public var description: String { String(number, radix: 16, uppercase: true) }
}
