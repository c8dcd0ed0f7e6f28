import TOML
import Testing

@Suite struct TOMLTests {
    private func parse(_ text: String) throws(TOMLError) -> TOMLTable { try TOMLTable(parsing: Array(text.utf8)) }

    /// The error of an invalid document, as "LINE:COLUMN: reason".
    private func complaint(_ bytes: [UInt8]) -> String {
        do throws(TOMLError) {
            return "none: \(try TOMLTable(parsing: bytes))"
        } catch {
            return "\(error)"
        }
    }

    // MARK: errors

    @Test(arguments: [
        ("\0", "1:1"), ("\0a = 1\n", "1:1"), ("a = 1\n\0b = 2\n", "2:1"), ("a\0 = 1", "1:2"), ("a = 1\0", "1:6"),
        ("a = 1\n\0", "2:1"), ("a = 1\nb = \"x\0y\"\n", "2:7"), ("a = \"\"\"\nx\n\0\"\"\"\n", "3:1"),
        ("a = 'é\0'", "1:7"), ("# c\0\na = 1\n", "1:4"), ("\u{FEFF}a = \0", "1:5"), ("a = \"\\\0\"", "1:7"),
    ])
    func aNULByteIsAnErrorAnywhere(text: String, place: String) {
        #expect(complaint(Array(text.utf8)) == "\(place): a NUL byte")
    }

    @Test(arguments: [
        ("[?", "1:2", "saw '?'"), ("[?device]\nurlKey = \"k\"\n", "1:2", "saw '?'"), ("a = 1\n[?", "2:2", "saw '?'"),
        ("a = ", "1:5", "end-of-file"), ("a = 1\na = 2", "2:5", "cannot redefine existing integer 'a'"),
        ("[a]\n[a]\n", "2:1", "cannot redefine existing table 'a'"),
        ("a = 9223372036854775808", "1:24", "not representable in 64 bits"),
        ("a = -9223372036854775809", "1:25", "not representable in 64 bits"),
        ("é = 1", "1:1", "saw 'é'"), ("a = \"x\n\"", "1:7", "control characters"),
        ("a = \u{1}", "1:5", "control character"),
        ("a = \"\\ud800\"", "1:12", "surrogates"), ("a = \"\"\"\\é\"\"\"", "1:9", "unknown escape sequence"),
        ("a = 1979-13-01", "1:12", "month"), ("a = \"x\\u0000y\"", "1:5", "a string with \\u0000"),
        ("\"\\u0000\" = 1", "1:1", "a string with \\u0000"),
        ("\"\u{E9}\" = 1\n\"e\u{301}\" = 1", "2:1", "the same key again"),
        ("a = 1\rb = 2", "1:7", "expected '\\n' after '\\r'"),
    ])
    func anErrorHasItsPosition(text: String, place: String, reason: String) {
        let found = complaint(Array(text.utf8))
        #expect(found.hasPrefix("\(place): ") && found.contains(reason), "\(found)")
        #expect(!found.contains("\n"))
    }

    @Test(
        arguments: [
            ("a = \"", [0xFF], "1:6"), ("", [0xFF, 0xFE, 0x61, 0], "1:1"), ("é = 1\r\n# ü", [0xC3, 0x28], "2:4"),
            ("\u{FEFF}a", [0xED, 0xA0, 0x80], "1:2"), ("\n", [0xC3], "2:1"), ("a = '\0'", [0x80], "1:8"),
        ] as [(String, [UInt8], String)])
    func textThatIsNotUTF8IsRefused(start: String, end: [UInt8], place: String) {
        #expect(complaint(Array(start.utf8) + end) == "\(place): not UTF-8 text")
    }

    /// The depth of values, of keys and of both together is limited, because otherwise the stack would overflow.
    @Test func depthIsLimited() throws {
        func lists(_ depth: Int) -> String {
            "a = " + String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        func key(_ dots: Int) -> String { String(repeating: "a.", count: dots) + "a" }
        #expect(throws: Never.self) { try parse(lists(32)) }
        #expect(complaint(Array(lists(33).utf8)).hasPrefix("1:37: Error while parsing value: exceeded maximum"))
        #expect(complaint(Array("a = \(String(repeating: "{a=", count: 100_000))".utf8)).contains("exceeded maximum"))
        #expect(throws: Never.self) { try parse("\(key(32)) = 1\n[b.\(key(31))]\n") }
        for (text, place) in [
            ("\(key(33)) = 1", "1:66"), ("[\(key(500_000))]", "1:67"), ("b = 1\n[[\(key(33))]]", "2:68"),
            ("b = {\(key(500_000)) = 1}", "1:71"), ("b = [{x = 1, \(key(33)) = 1}]", "1:79"),
            (String(repeating: " 'a' .", count: 40), "1:198"),
        ] { #expect(complaint(Array(text.utf8)) == "\(place): a key with more than 32 dots") }
        let tables = String(repeating: "{\(key(32)) = ", count: 31) + "1" + String(repeating: "}", count: 31)
        #expect(throws: Never.self) { try parse("[\(key(32))]\n\(key(32)) = \(tables)") }
    }

    /// Only the dots of keys are counted, even after quotation marks, escapes and comments.
    @Test(arguments: [
        "a = '@'", "a = \"@\"", "a = \"\\\"@\"", "a = '''@'''", "a = \"\"\"\n@\n\"\"\"", "a = 1 # \"@", "# '''\n# @",
        "# x # @", "# x # \"\"\"",
        "a = \"\"\"x\"\"\"\"\"\nb = \"@\"", "a = ''''x''''\nb = '@'", "a = \"\\\\\"\nb = \"@\"", "a = '\\'\nb = '@'",
        "'@' = 1", "a = \"\"\"\"\"\"\nb = '@'", "a = ''\nb = '@'", "a = \"\"\"\\\"\"\"@\"\"\"",
    ])
    func dotsInStringsAndCommentsDoNotCount(text: String) {
        let start = text.replacing("@", with: String(repeating: ".", count: 100))
        let numbers = (1...50).map { "\($0).5" }.joined(separator: ", ")
        #expect(throws: Never.self) { try parse("\(start)\nz = [\(numbers)]\n") }
        let deep = "\(start)\n\(String(repeating: "z.", count: 33))z = 1\n"
        #expect(complaint(Array(deep.utf8)).hasSuffix(":66: a key with more than 32 dots"))
    }

    // MARK: values

    /// Each value of a document with its position, as "KEY@LINE:COLUMN=VALUE@LINE:COLUMN".
    private func lines(_ table: TOMLTable, _ path: String = "") -> [String] {
        table.entries.sorted { $0.value.position < $1.value.position }.flatMap { key, entry in
            lines(entry.value, "\(path)\(key)", "\(path)\(key)@\(entry.position)=")
        }
    }

    private func lines(_ value: TOMLValue, _ path: String, _ start: String) -> [String] {
        switch value.content {
        case .string(let text): ["\(start)\"\(text)\"@\(value.position)"]
        case .integer(let number): ["\(start)\(number)@\(value.position)"]
        case .number(let number): ["\(start)\(number)@\(value.position)"]
        case .bool(let flag): ["\(start)\(flag)@\(value.position)"]
        case .moment(let text): ["\(start)<\(text)>@\(value.position)"]
        case .list(let items):
            ["\(start)list@\(value.position)"]
                + items.enumerated().flatMap { lines($1, "\(path)[\($0)]", "\(path)[\($0)]=") }
        case .table(let table): ["\(start)table@\(value.position)"] + lines(table, "\(path).")
        }
    }

    @Test(arguments: [
        ("", []), ("\u{FEFF}", []), ("\n# only a comment", []),
        ("\u{FEFF}a = 1\r\nb = 2\r\n", ["a@1:1=1@1:5", "b@2:1=2@2:5"]),
        (
            "a = [1, 2.5,\n  true, inf]",
            ["a@1:1=list@1:5", "a[0]=1@1:6", "a[1]=2.5@1:9", "a[2]=true@2:3", "a[3]=inf@2:9"]
        ),
        (
            "a = 9223372036854775807\nb = -9223372036854775808\nc = 0xFF",
            [
                "a@1:1=9223372036854775807@1:5", "b@2:1=-9223372036854775808@2:5", "c@3:1=255@3:5",
            ]
        ),
        (
            "a = 1979-05-27T07:32:00.5Z\nb = 1979-05-27\nc = 07:32:00\nd = 1979-05-27 00:32:00-07:00",
            [
                "a@1:1=<1979-05-27T07:32:00.5Z>@1:5", "b@2:1=<1979-05-27>@2:5", "c@3:1=<07:32:00>@3:5",
                "d@4:1=<1979-05-27T00:32:00-07:00>@4:5",
            ]
        ),
        ("[t]\n  a.b = \"é\"", ["t@1:2=table@1:1", "t.a@2:3=table@2:3", "t.a.b@2:5=\"é\"@2:9"]),
        ("p = { x = 1, 'y z' = {} }", ["p@1:1=table@1:5", "p.x@1:7=1@1:11", "p.y z@1:14=table@1:22"]),
        (
            "[[f]]\na = 1\n[[f]]\n\"ü\" = 2",
            ["f@1:3=list@1:1", "f[0]=table@1:1", "f[0].a@2:1=1@2:5", "f[1]=table@3:1", "f[1].ü@4:1=2@4:7"]
        ),
        (
            "a = \"\"\"\n  x\n  y \\\n   é\"\"\"\nb = '''\n\\n'''\nc = \"\"\"q\"\"\"\"\"",
            ["a@1:1=\"  x\n  y é\"@1:5", "b@5:1=\"\\n\"@5:5", "c@7:1=\"q\"\"\"@7:5"]
        ),
    ])
    func valuesHaveTheirPositions(text: String, expected: [String]) throws {
        #expect(lines(try parse(text)) == expected)
    }

    /// The parser receives a length, and reads no byte beyond it.
    @Test func everyPrefixIsParsedOrRefused() {
        let bytes = Array("[a]\nb = \"\"\"é\\\n  ü\"\"\" # c\n'd'.e = [{ f = 1979-05-27T07:32:00Z }, 1e5]\n".utf8)
        for end in bytes.indices { _ = complaint(Array(bytes[..<end])) }
    }
}
