import FoundationEssentials
import Glibc
import UpdateCore

/// Messages between processes: one JSON value per line.
public enum JSONLine {
    public static func encode(_ message: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(message)) + [0x0A]
    }

    public static func decode<Message: Decodable>(_ type: Message.Type, from bytes: [UInt8]) throws -> Message {
        try JSONDecoder().decode(type, from: Data(bytes))
    }

    /// Reads the first line of standard input.
    ///
    /// - Returns: nil if the input ends before the line does.
    /// - Throws: EMSGSIZE if the line is longer than ``maximumMessageBytes``.
    public static func readRequest() throws(SystemError) -> [UInt8]? {
        var line = [UInt8]()
        var byte: UInt8 = 0
        while true {
            let count = read(STDIN_FILENO, &byte, 1)
            if count < 0 {
                if errno == EINTR { continue }
                throw SystemError("read", "standard input")
            }
            if count == 0 { return nil }
            if byte == 0x0A { return line }
            line.append(byte)
            if line.count > maximumMessageBytes { throw SystemError("read", "standard input", code: EMSGSIZE) }
        }
    }

    /// Writes one message to standard output. If standard output cannot be written to, the rest is dropped.
    public static func send(_ message: some Encodable) {
        guard let bytes = try? encode(message) else { return }
        bytes.withUnsafeBytes { buffer in
            var rest = buffer[...]
            while let base = UnsafeRawBufferPointer(rebasing: rest).baseAddress, !rest.isEmpty {
                let count = write(STDOUT_FILENO, base, rest.count)
                if count < 0, errno != EINTR { return }
                if count > 0 { rest = rest.dropFirst(count) }
            }
        }
    }
}
