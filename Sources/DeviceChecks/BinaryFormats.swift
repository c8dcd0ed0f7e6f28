import Host

/// A format that the kernel passes to another program, such as that of another kind of processor to an emulator (binfmt_misc).
struct BinaryFormat: Hashable {
    var offset = 0
    var magic: [UInt8] = []
    /// As long as the magic number; empty for all bits.
    var mask: [UInt8] = []
    /// With its dot; empty if the magic number decides.
    var suffix = ""

    /// - Parameter text: a file in /proc/sys/fs/binfmt_misc. Nil if it is disabled or cannot be read.
    init?(parsing text: String) {
        let lines = text.split(separator: "\n").map { $0.split(separator: " ") }
        guard lines.first?.first == "enabled" else { return nil }
        for line in lines where line.count == 2 {
            switch line[0] {
            case "offset": offset = Int(line[1]) ?? 0
            case "magic": magic = Self.bytes(line[1])
            case "mask": mask = Self.bytes(line[1])
            case "extension": suffix = String(line[1])
            default: break
            }
        }
        guard !magic.isEmpty || !suffix.isEmpty, mask.isEmpty || mask.count == magic.count, offset >= 0 else {
            return nil
        }
    }

    func matches(_ head: [UInt8], _ path: String) -> Bool {
        if !suffix.isEmpty { return path.hasSuffix(suffix) }
        guard offset + magic.count <= head.count else { return false }
        return magic.indices.allSatisfy { index in
            let bits = mask.isEmpty ? 0xFF : mask[index]
            return head[offset + index] & bits == magic[index] & bits
        }
    }

    private static func bytes(_ digits: Substring) -> [UInt8] {
        let digits = Array(digits.utf8)
        return stride(from: 0, to: digits.count - 1, by: 2).compactMap {
            UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16)
        }
    }
}

enum BinaryFormats {
    /// Those of this kernel; empty if binfmt_misc is not mounted.
    static var registered: [BinaryFormat] {
        let directory = "/proc/sys/fs/binfmt_misc"
        return ((try? Files.list(directory)) ?? []).filter { $0 != "register" && $0 != "status" }.compactMap { name in
            (try? Files.read("\(directory)/\(name)", limit: 65_536)).flatMap {
                BinaryFormat(parsing: String(decoding: $0, as: UTF8.self))
            }
        }
    }
}
