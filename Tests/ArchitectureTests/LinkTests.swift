import Host
import TestSupport
import Testing

/// The documents lead a reader from README.md to each page, and no link leads nowhere.
@Suite struct LinkTests {
    @Test func everyRelativeLinkLeadsToAFileAndAHeading() throws {
        let pages = try Self.pages()
        #expect(pages.count > 8)
        for page in pages {
            for link in Self.links(in: Self.text(page)) {
                let target = Self.target(of: link, from: page)
                guard Files.exists("\(repositoryDirectory)/\(target.path)") else {
                    Issue.record("\(page) links to \(link): there is no \(target.path)")
                    continue
                }
                guard let anchor = target.anchor, target.path.hasSuffix(".md") else { continue }
                #expect(
                    Self.anchors(in: Self.text(target.path)).contains(anchor),
                    "\(page) links to \(link): \(target.path) has no such heading")
            }
        }
    }

    @Test func everyPageIsReachableFromTheReadme() throws {
        var (found, rest): (Set<String>, [String]) = (["README.md"], ["README.md"])
        while let page = rest.popLast() {
            for link in Self.links(in: Self.text(page)) {
                let path = Self.target(of: link, from: page).path
                if found.insert(path).inserted, path.hasSuffix(".md"), Files.exists("\(repositoryDirectory)/\(path)") {
                    rest.append(path)
                }
            }
        }
        let documents = try Self.files(below: "docs")
        #expect(!documents.isEmpty)
        for file in documents where !found.contains(file) { Issue.record("no page links to \(file)") }
    }

    @Test func linksAndAnchorsAreRecognized() {
        let text = """
            # A *bold* `word`: set-up
            See [one](a.md#b "title") and ![two](c.svg), not `[three](d.md)` or [four](https://example.com/e.md).
                [five](f.md)
            ```
            [six](g.md)
            # no heading
            ```
            # A *bold* `word`: set-up
            ## Why [this](h.md)?
            """
        #expect(Self.links(in: text) == ["a.md#b", "c.svg", "h.md"])
        #expect(Self.anchors(in: text) == ["a-bold-word-set-up", "a-bold-word-set-up-1", "why-this"])
        #expect(Self.target(of: "../README.md#x", from: "docs/a.md") == ("README.md", "x"))
        #expect(Self.target(of: "#x", from: "docs/a.md") == ("docs/a.md", "x"))
        #expect(Self.target(of: "examples/b.py", from: "docs/a.md") == ("docs/examples/b.py", nil))
    }

    // MARK: files

    private static func pages() throws -> [String] {
        try ["README.md", "CONTRIBUTING.md"] + files(below: "docs").filter { $0.hasSuffix(".md") }
    }

    private static func files(below path: String) throws -> [String] {
        guard let names = try? Files.list("\(repositoryDirectory)/\(path)") else { return [path] }
        return try names.flatMap { try files(below: "\(path)/\($0)") }
    }

    private static func text(_ path: String) -> String {
        (try? Files.read("\(repositoryDirectory)/\(path)", limit: 4 << 20)).map { String(decoding: $0, as: UTF8.self) }
            ?? ""
    }

    // MARK: Markdown

    /// The lines outside of code blocks: those between fences, and those that are indented by four blanks and follow no list.
    private static func prose(_ text: String) -> [Substring] {
        var isFenced = false
        return text.split(separator: "\n", omittingEmptySubsequences: false).filter { line in
            if line.drop(while: { $0 == " " }).hasPrefix("```") {
                isFenced.toggle()
                return false
            }
            return !isFenced && !line.hasPrefix("    ")
        }
    }

    /// The relative targets of links and pictures. A link's text may be broken over two lines.
    private static func links(in text: String) -> [String] {
        let prose = prose(text).joined(separator: "\n").replacing(/`[^`]*`/, with: "code")
        return prose.matches(of: /\]\(([^)\s]+)(\s+"[^"]*")?\)/).map { String($0.output.1) }.filter {
            !$0.contains(":")
        }
    }

    /// The anchors of the headings, as GitHub makes them.
    private static func anchors(in text: String) -> [String] {
        var counts: [String: Int] = [:]
        return prose(text).compactMap { line in
            guard let heading = line.wholeMatch(of: /#{1,6} +(.*)/)?.output.1 else { return nil }
            let shown = heading.replacing(/\[([^\]]*)\]\([^)]*\)/) { $0.output.1 }
            let kept = shown.lowercased().filter { $0.isLetter || $0.isNumber || "-_ ".contains($0) }
            let anchor = String(kept.map { $0 == " " ? "-" : $0 })
            let count = counts[anchor, default: 0]
            counts[anchor] = count + 1
            return count == 0 ? anchor : "\(anchor)-\(count)"
        }
    }

    private static func target(of link: String, from page: String) -> (path: String, anchor: String?) {
        let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
        let anchor = parts.count > 1 ? String(parts[1]) : nil
        guard let path = parts.first, !path.isEmpty else { return (page, anchor) }
        var directories = page.split(separator: "/").dropLast()
        for part in path.split(separator: "/") where part != "." {
            if part == ".." { _ = directories.popLast() } else { directories.append(part) }
        }
        return (directories.joined(separator: "/"), anchor)
    }
}
