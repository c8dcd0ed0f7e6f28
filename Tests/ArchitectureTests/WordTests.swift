import Host
import TestSupport
import Testing

/// Code, messages and documents use the field's standard terms (CONTRIBUTING.md), in identifiers too.
@Suite struct WordTests {
    /// What is written instead is device, directory, installer socket, fix, verified, next to, the user, transient error,
    /// download priority, control.
    private static let words: Set = [
        "box", "boxes", "folder", "folders", "door", "doors", "mend", "mends", "mended", "genuine", "beside", "besides",
        "whoever", "whom", "somebody", "nobody", "courtesy", "trouble", "troubles", "troubled", "congestion", "steer",
        "believe", "believes", "believed",
    ]
    /// What is written instead is delayed, blocked, rollback, effective, available, resume.
    private static let phrases = [
        "held back", "hold back", "holds back", "given up", "gives up", "the way back", "in force", "at hand",
        "to be had",
        "goes on", "going on", "gone on", "person in front",
    ]
    /// Where an old word is a name that 0.1.0 stored, that others chose, or that is explained as old.
    private static let exceptions: [(file: String, words: Set<String>)] = [
        ("CHANGELOG.md", words.union(phrases)), ("Tests/ArchitectureTests/WordTests.swift", words.union(phrases)),
        ("Tests/Formats/", words.union(phrases)), ("Tests/FuzzCorpus/", words.union(phrases)),
        ("Tests/FormatTests/FormatTests.swift", ["trouble", "troubled"]),
        ("Sources/UpdateCore/AgentState.swift", ["trouble", "troubled"]),
        ("Sources/Configuration/Settings+InstallerDirectory.swift", ["folder"]),
        ("Sources/Configuration/UnknownKey.swift", ["folder"]), ("Tests/SystemTests/SelfUpdateTests.swift", ["folder"]),
        ("Tests/ConfigurationTests/ConfigurationTests.swift", ["folder", "folders"]),
        ("Tests/InstallationTests/LostRecordTests.swift", ["folder"]),
        ("Sources/Modules/DirectoryModule.swift", ["folder"]),
        ("Tests/ModulesTests/DirectoryModuleTests.swift", ["folder"]),
        ("packaging/debian/copyright", ["whom"]), ("Tests/AgentTests/BusTests.swift", ["nobody"]),
    ]

    @Test(arguments: ["Sources", "Tests", "packaging", "config", "docs", "README.md", "CONTRIBUTING.md", "Makefile"])
    func oldWordsAreGone(place: String) throws {
        let files = try Self.files(below: place)
        #expect(!files.isEmpty)
        for file in files where !file.hasSuffix(".svg") {
            guard let bytes = try? Files.read("\(repositoryDirectory)/\(file)", limit: 4 << 20),
                let text = String(validating: bytes, as: UTF8.self)
            else { continue }
            let allowed = Self.exceptions.filter { file.hasPrefix($0.file) }.reduce(into: Set()) {
                $0.formUnion($1.words)
            }
            for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
                let found = Self.oldWords(String(line)).subtracting(allowed)
                #expect(found.isEmpty, "\(file):\(number + 1): \(found.sorted().joined(separator: ", "))")
            }
        }
    }

    /// The words of a line, those inside camelCase names included.
    private static func oldWords(_ line: String) -> Set<String> {
        var line = line
        for term in ["set-top box", "Set-top box", "viewBox"] { line.replace(term, with: "") }
        var found = Set(line.matches(of: /[A-Z]?[a-z]+|[A-Z]+(?![a-z])/).map { $0.output.lowercased() })
        found.formIntersection(words)
        let lower = line.lowercased()
        found.formUnion(phrases.filter { lower.contains($0) })
        return found
    }

    private static func files(below path: String) throws -> [String] {
        let whole = "\(repositoryDirectory)/\(path)"
        guard let names = try? Files.list(whole) else { return [path] }
        return try names.flatMap { try files(below: "\(path)/\($0)") }
    }

    @Test func aWordInsideANameIsFound() {
        #expect(Self.oldWords("let stateFolder = inbox") == ["folder"])
        #expect(Self.oldWords("/// Held back by set-top boxes") == ["held back"])
    }
}
