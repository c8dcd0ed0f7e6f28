/// One name in a directory. A file system does not require UTF-8, so that a name is bytes.
public struct FileName: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Neither empty nor `.` nor `..`, and without slashes and NUL bytes.
    public let bytes: [UInt8]

    /// - Returns: nil if a file cannot have this name.
    public init?(_ bytes: [UInt8]) {
        guard !bytes.isEmpty, bytes != [0x2E], bytes != [0x2E, 0x2E], !bytes.contains(0x2F), !bytes.contains(0) else {
            return nil
        }
        self.bytes = bytes
    }

    /// - Returns: nil if a file cannot have this name.
    public init?(_ text: String) { self.init(Array(text.utf8)) }

    private init(valid bytes: [UInt8]) { self.bytes = bytes }

    /// A name that no other process can guess: the prefix, which is a valid name, and 128 random bits.
    public static func unpredictable(_ prefix: String) -> FileName {
        var random = SystemRandomNumberGenerator()
        let digits = (0..<2).map { _ in
            let text = String(random.next() as UInt64, radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }
        return FileName(valid: Array((prefix + digits.joined()).utf8))
    }

    /// `artifact`
    public static let artifact = FileName(valid: Array("artifact".utf8))

    /// This name with an ending.
    public func appending(_ ending: String) -> FileName? { FileName(bytes + Array(ending.utf8)) }

    /// For people: bytes that are not UTF-8 are replaced.
    public var description: String { String(decoding: bytes, as: UTF8.self) }

    public static func < (one: FileName, other: FileName) -> Bool { one.bytes.lexicographicallyPrecedes(other.bytes) }

    /// The name as a C string, which ends with NUL.
    var cString: [CChar] { bytes.map { CChar(bitPattern: $0) } + [0] }
}
