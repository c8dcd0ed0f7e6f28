import Glibc
import Host

/// Whether the kernel can execute the content of a file (execve(2)). A file that it cannot execute is not given to a shell:
/// posix_spawn(3) reports ENOEXEC.
enum ProgramFile {
    /// The kernel reads this much of a file to find out what it is (`BINPRM_BUF_SIZE`).
    private static let headSize = 256
    /// A script's interpreter may be a script; the kernel follows some.
    private static let deepest = 4

    static func problem(of path: String, depth: Int = 0) -> InstalledProgram.Problem? {
        guard depth < deepest, let file = try? Files.open(path) else { return nil }
        var head = [UInt8](repeating: 0, count: headSize)
        guard let count = try? file.read(into: &head) else { return nil }
        head = Array(head[..<count])
        if head.isEmpty { return ("\(path) is empty, so it cannot be executed", "install the program again") }
        if BinaryFormats.registered.contains(where: { $0.matches(head, path) }) { return nil }
        if head.starts(with: "#!".utf8) { return problem(of: head, path, depth: depth) }
        if head.starts(with: ELFHeader.magic) {
            return ELFHeader.problem(of: file).map { ("\(path) \($0.text)", $0.remedy) }
        }
        let isText = head.allSatisfy { $0 >= 0x20 && $0 != 0x7F || (0x09...0x0D).contains($0) || $0 == 0x1B }
        return isText
            ? (
                "\(path) does not begin with #! and an interpreter, so it cannot be executed",
                "sed -i '1i #!/bin/sh' \(path), or another interpreter"
            )
            : ("\(path) is no program that this system can execute", "install the program for this system")
    }

    /// The first line of a script (execve(2), "Interpreter scripts").
    ///
    /// - Parameter head: the first bytes of the script.
    private static func problem(of head: [UInt8], _ path: String, depth: Int) -> InstalledProgram.Problem? {
        let line = String(decoding: head.dropFirst(2).prefix { $0 != 0x0A }, as: UTF8.self)
        // A part of the interpreter's name, or of its argument.
        if line.utf8.last == 0x0D {
            return ("\(path) has CRLF line ends, so its interpreter is not found", "sed -i 's/\\r$//' \(path)")
        }
        let words = line.split { $0 == " " || $0 == "\t" }.map(String.init)
        guard let interpreter = words.first else {
            return ("\(path) has no interpreter behind #! in its first line", "write #!/bin/sh, or another one")
        }
        guard interpreter.hasPrefix("/"), !Access.isDirectory(interpreter), access(interpreter, X_OK) == 0 else {
            return (
                "\(path) needs \(interpreter), which is not there or not executable",
                interpreter.hasPrefix("/") ? "install \(interpreter)" : "write the whole path of \(interpreter)"
            )
        }
        if Files.directory(of: interpreter).hasSuffix("/bin"), interpreter.hasSuffix("/env") {
            guard let name = program(ofEnv: words.dropFirst()) else { return nil }
            let isThere = name.contains("/") ? access(name, X_OK) == 0 : InstalledProgram.isInPath(name)
            return isThere
                ? nil : ("\(path) needs \(name), which is not there or not executable", "install \(name)")
        }
        return problem(of: interpreter, depth: depth + 1).map { ("\(path): its interpreter \($0.text)", $0.remedy) }
    }

    /// The program that env(1) starts; nil if that is not obvious.
    private static func program(ofEnv words: ArraySlice<String>) -> String? {
        for word in words {
            if ["-S", "-i", "-", "-iS"].contains(word) || word.contains("=") { continue }
            // Another option may have an argument; quotation marks and variables are env's own.
            return word.hasPrefix("-") || word.contains { "$\\\"'".contains($0) } ? nil : word
        }
        return nil
    }
}
