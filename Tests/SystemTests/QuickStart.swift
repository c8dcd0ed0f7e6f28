import Host
import TestSupport

/// The commands of docs/quickstart.md, and what they print: a block ```` ```sh ```` and, if there is output, a block ```` ```text ````.
struct QuickStart {
    struct Step {
        /// The line of the first command in the document.
        var line: Int
        var commands: String
        /// Lines, in which `…` stands for any text, and alone for any lines. None: nothing is printed.
        var expected: [String] = []
    }

    struct Malformed: Error { var description: String }

    private(set) var steps: [Step] = []

    static func read() throws -> QuickStart {
        let path = "\(repositoryDirectory)/docs/quickstart.md"
        return try QuickStart(String(decoding: try Files.read(path, limit: 1 << 20), as: UTF8.self))
    }

    init(_ document: String) throws(Malformed) {
        var kind: Substring?
        var first = 0
        var content: [String] = []
        var mayHaveOutput = false
        for (index, line) in document.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            guard line.hasPrefix("```") else {
                content.append(String(line))
                continue
            }
            if let open = kind {
                switch open {
                case "sh":
                    steps.append(Step(line: first, commands: content.joined(separator: "\n")))
                    mayHaveOutput = true
                case "text" where mayHaveOutput:
                    steps[steps.count - 1].expected = content
                    mayHaveOutput = false
                default: throw Malformed(description: "line \(first): a block ```\(open) without commands before it")
                }
                kind = nil
            } else {
                kind = line.dropFirst(3)
                first = index + 2
                content = []
            }
        }
        if kind != nil { throw Malformed(description: "line \(first): a block without an end") }
    }

    // MARK: output

    static func matches(_ output: String, _ expected: [String]) -> Bool {
        // A program that shows its progress ends lines with a carriage return.
        var lines = output.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        if lines.last == "" { lines.removeLast() }
        return matches(lines[...], expected[...])
    }

    private static func matches(_ lines: ArraySlice<Substring>, _ expected: ArraySlice<String>) -> Bool {
        guard let pattern = expected.first else { return lines.isEmpty }
        let rest = expected.dropFirst()
        if pattern == "…" {
            return (lines.startIndex...lines.endIndex).contains { matches(lines[$0...], rest) }
        }
        guard let line = lines.first else { return false }
        return matches(line: line, pattern) && matches(lines.dropFirst(), rest)
    }

    private static func matches(line: Substring, _ pattern: String) -> Bool {
        var parts = pattern.split(separator: "…", omittingEmptySubsequences: false)
        guard parts.count > 1, let last = parts.popLast() else { return line == pattern }
        let first = parts.removeFirst()
        guard line.count >= first.count + last.count, line.hasPrefix(first), line.hasSuffix(last) else { return false }
        var middle = line.dropFirst(first.count).dropLast(last.count)
        for part in parts where !part.isEmpty {
            guard let range = middle.firstRange(of: part) else { return false }
            middle = middle[range.upperBound...]
        }
        return true
    }
}
