import Glibc
import Host
import UpdateCore

/// The header of a program in ELF (elf(5)), as far as the kernel checks it before it starts the program.
enum ELFHeader {
    static let magic: [UInt8] = [0x7F, 0x45, 0x4C, 0x46]
    /// Bytes of the header for 64 bits.
    private static let size = 64

    private struct Kind: Hashable {
        /// EI_CLASS: 1 for 32 bits, 2 for 64 bits.
        var width: UInt8
        /// EI_DATA: 1 for little-endian.
        var order: UInt8
        var machine: UInt16
    }

    static func problem(of file: OpenFile) -> InstalledProgram.Problem? {
        guard let head = read(file, at: 0, size), head.count >= 52, let kind = kind(head) else { return damaged }
        // Without /proc nothing is known about this machine.
        guard let own = own else { return nil }
        guard kind == own || alsoRun[own.machine]?.contains(kind.machine) == true else {
            return ("is a program for another kind of processor", "install the program for this device")
        }
        guard kind.order == 1, kind.width == 2, head.count == size else { return nil }
        return segments(file, head)
    }

    private static let damaged: InstalledProgram.Problem = (
        "is a damaged program: its ELF header is wrong", "install the program again"
    )

    /// Programs for 32 bits that a kernel for 64 bits may run: x86 on x86-64, ARM on AArch64.
    private static let alsoRun: [UInt16: Set<UInt16>] = [62: [3, 62], 183: [40]]

    private static let own: Kind? = (try? OpenFile("/proc/self/exe", O_RDONLY)).flatMap { read($0, at: 0, size) }
        .flatMap(kind)

    /// Nil if it is no program: an executable file, or a shared object such as a position-independent program.
    private static func kind(_ head: [UInt8]) -> Kind? {
        let order = head[5]
        guard head.starts(with: magic), (1...2).contains(head[4]), (1...2).contains(order) else { return nil }
        func short(_ at: Int) -> UInt16 {
            let (first, second) = (UInt16(head[at]), UInt16(head[at + 1]))
            return order == 1 ? second << 8 | first : first << 8 | second
        }
        return (2...3).contains(short(16)) ? Kind(width: head[4], order: order, machine: short(18)) : nil
    }

    /// Whether the whole program is there, and the loader that it names (PT_INTERP).
    private static func segments(_ file: OpenFile, _ head: [UInt8]) -> InstalledProgram.Problem? {
        func number(_ bytes: [UInt8], _ at: Int, _ count: Int) -> UInt64 {
            bytes[at..<at + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        let (offset, width, count) = (number(head, 32, 8), number(head, 54, 2), number(head, 56, 2))
        guard let length = try? file.size, width == 56, count > 0, offset <= UInt64(length),
            let table = read(file, at: ByteCount(offset), Int(count) * 56), table.count == Int(count) * 56
        else { return damaged }
        for index in 0..<Int(count) {
            let entry = Array(table[index * 56..<(index + 1) * 56])
            let (start, extent) = (number(entry, 8, 8), number(entry, 32, 8))
            guard [1, 3].contains(number(entry, 0, 4)) else { continue }
            guard start <= UInt64(length), extent <= UInt64(length) - start else {
                return ("is incomplete: its end is missing", "install the program again")
            }
            guard number(entry, 0, 4) == 3 else { continue }
            guard extent < 4096, let name = read(file, at: ByteCount(start), Int(extent)) else { return damaged }
            let loader = String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
            guard Files.isExecutable(loader), !Access.isDirectory(loader) else {
                return (
                    "needs the loader \(loader), which is not there or not executable",
                    "install the program for this system, or \(loader)"
                )
            }
        }
        return nil
    }

    private static func read(_ file: OpenFile, at offset: ByteCount, _ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        guard let found = try? file.read(into: &bytes, at: offset) else { return nil }
        return Array(bytes[..<found])
    }
}
