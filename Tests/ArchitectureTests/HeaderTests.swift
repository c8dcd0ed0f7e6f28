import Host
import TestSupport
import Testing

/// A reader appends the examples of the documents to one file, in which TOML allows each header only once. A full name below a
/// header would belong to its section. The examples therefore have full names, and no headers.
@Suite struct HeaderTests {
    /// It explains headers.
    private static let exceptions: Set = ["docs/configuration.md"]

    @Test func noExampleOfTheConfigurationHasAHeader() throws {
        let pages = try ["README.md"] + Files.list("\(repositoryDirectory)/docs").map { "docs/\($0)" }
        var count = 0
        for page in pages where page.hasSuffix(".md") {
            let text = String(
                decoding: try Files.read("\(repositoryDirectory)/\(page)", limit: 1 << 20), as: UTF8.self)
            let blocks = Self.blocks(in: text)
            count += blocks.count { block in block.contains(where: Self.isOption) }
            if Self.exceptions.contains(page) {
                #expect(blocks.contains { $0.contains(where: Self.isHeader) }, "\(page) is no exception")
                continue
            }
            for line in blocks.joined() where Self.isHeader(line) {
                Issue.record("\(page) has \(line): write the full name, such as poll.interval")
            }
        }
        #expect(count > 5)
    }

    @Test func blocksAndHeadersAreRecognized() {
        let page = """
            Text [with] a link:

                poll.interval = "6h"

                [poll]
                splay = "1h"
            1. A list
               [continues]

                   [[metrics]]  # why
            ```toml
            [server]
            ```
            ```sh
            [ -e file ] || exit 0
            ```
                [Service]
                [signing.md](signing.md)
            """
        let blocks = Self.blocks(in: page)
        #expect(blocks.joined().filter(Self.isHeader) == ["[poll]", "[[metrics]]  # why", "[server]"])
        #expect(blocks.joined().filter(Self.isOption) == ["poll.interval = \"6h\""])
    }

    /// The lines of each block that is fenced, or indented by four blanks, without the indentation.
    private static func blocks(in page: String) -> [[Substring]] {
        var blocks: [[Substring]] = [[]]
        var isFenced = false
        for line in page.split(separator: "\n", omittingEmptySubsequences: false) {
            let content = line.drop { $0 == " " }
            if content.hasPrefix("```") {
                isFenced.toggle()
                blocks.append([])
            } else if isFenced || line.hasPrefix("    ") {
                blocks[blocks.count - 1].append(content)
            } else {
                blocks.append([])
            }
        }
        return blocks.filter { !$0.isEmpty }
    }

    /// A header of a section. Those of systemd's units begin with a capital letter.
    private static func isHeader(_ line: Substring) -> Bool {
        line.wholeMatch(of: /\[+ *[a-z][A-Za-z.]* *\]+ *(#.*)?/) != nil
    }

    private static func isOption(_ line: Substring) -> Bool { line.prefixMatch(of: /[a-z]+\.[A-Za-z]+ *=/) != nil }
}
