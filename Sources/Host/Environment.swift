import Glibc
import UpdateCore

/// The environment variables and the path of this process.
public enum Environment {
    /// The environment variables, by name.
    public static var current: [String: String] {
        var variables: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let assignment = String(cString: text)
            if let equals = assignment.firstIndex(of: "=") {
                variables[String(assignment[..<equals])] = String(assignment[assignment.index(after: equals)...])
            }
            entry += 1
        }
        return variables
    }

    /// The variables as `NAME=value`; the mark replaces a variable of the same name.
    static func entries(adding mark: ProcessMark) -> [String] {
        current.filter { $0.key != mark.name }.map { "\($0.key)=\($0.value)" } + ["\(mark.name)=\(mark.value)"]
    }

    /// The path of this program, with links resolved; `argv[0]` if /proc is not available.
    public static var executablePath: String {
        Files.linkTarget("/proc/self/exe") ?? CommandLine.arguments.first ?? ""
    }

    /// Writes one line to standard error, which may be the journal or a terminal: the text is sanitised, because it may quote
    /// what came from outside. Write errors are ignored.
    public static func printError(_ line: String) { write(line, to: STDERR_FILENO) }

    /// Writes one line to standard output in the same way.
    public static func printLine(_ line: String) { write(line, to: STDOUT_FILENO) }

    private static func write(_ line: String, to descriptor: CInt) {
        _ = Array("\(line.sanitized(limit: 4000))\n".utf8).withUnsafeBytes {
            Glibc.write(descriptor, $0.baseAddress, $0.count)
        }
    }
}
