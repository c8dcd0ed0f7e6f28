import Glibc

/// What this process was started with.
public enum Environment {
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

    /// The variables as `NAME=value`, with another one in place of its namesake.
    static func entries(adding mark: ProcessMark) -> [String] {
        current.filter { $0.key != mark.name }.map { "\($0.key)=\($0.value)" } + ["\(mark.name)=\(mark.value)"]
    }

    /// Of this program, with links resolved.
    public static var executablePath: String {
        Files.linkTarget("/proc/self/exe") ?? CommandLine.arguments.first ?? ""
    }

    public static func printError(_ line: String) {
        _ = Array("\(line)\n".utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
