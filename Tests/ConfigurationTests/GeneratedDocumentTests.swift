import Glibc
import Host
import Reference
import TestSupport
import Testing

@testable import Configuration

/// The documents about the options are those that the schema gives. `make generate` writes them.
@Suite(.serialized) struct GeneratedDocumentTests {
    private static let writes = getenv("UPGRADELINKD_GENERATE") != nil

    private func read(_ name: String) -> String {
        (try? Files.read("\(repositoryDirectory)/\(name)", limit: 1 << 20)).map { String(decoding: $0, as: UTF8.self) }
            ?? ""
    }

    private func check(_ name: String, _ text: String) throws {
        if Self.writes { try Files.replace("\(repositoryDirectory)/\(name)", with: Array(text.utf8), mode: 0o644) }
        #expect(read(name) == text, "\(name) is stale: run make generate")
    }

    @Test func theConfigurationFile() throws { try check("config/upgradelinkd.toml", Documents.configurationFile) }

    @Test func theSchemaForEditors() throws { try check("config/upgradelinkd.schema.json", Documents.jsonSchema) }

    @Test func theManualPage() throws {
        let name = "packaging/man/upgradelinkd.toml.5"
        let page = Documents.inserting(
            Documents.manualOptions, into: read(name), after: ".\\\" OPTIONS: make generate writes these lines.",
            before: ".\\\" END OF OPTIONS")
        try check(name, try #require(page))
    }

    @Test func theReference() throws {
        let name = "docs/configuration.md"
        let page = Documents.inserting(
            Documents.reference, into: read(name), after: "<!-- options: make generate writes these lines -->",
            before: "<!-- end of options -->")
        try check(name, try #require(page))
    }

    /// Nothing is left out, and every text is complete.
    @Test(arguments: Schema.options.map(\.key)) func everyOptionIsDescribed(key: String) throws {
        let option = try #require(Schema.option(key))
        #expect(!option.summary.isEmpty && !option.summary.contains("\n") && !option.summary.hasSuffix("."))
        #expect(option.standard != nil || option.example != nil, "documents need a value")
        for text in [option.summary, option.description, option.computedDefault ?? ""] {
            #expect(text.count { $0 == "`" }.isMultiple(of: 2), "\(text)")
        }
        if let value = option.standard { #expect(option.objection(to: value) == nil) }
        if let value = option.example { #expect(option.objection(to: value) == nil) }
        let file = Documents.configurationFile.split(separator: "\n").filter { $0.hasPrefix("#\(key) = ") }
        #expect(file.count == 1)
        #expect(Documents.manualOptions.contains(".B \(key)\n"))
        #expect(Documents.reference.contains("\n### \(key)\n"))
        // A choice describes each of its values.
        if case .choice(let names) = option.kind {
            for name in names { #expect(option.description.contains("- `\"\(name)\"`: "), "\(name)") }
        }
    }

    /// The keys of options that a description mentions exist.
    @Test func referencesPointToOptions() {
        for text in Schema.options.flatMap({ [$0.summary, $0.description] }) + Schema.sections.map(\.description) {
            for (index, part) in text.split(separator: "`", omittingEmptySubsequences: false).enumerated()
            where index % 2 == 1 && Schema.sectionNames.contains(where: { part.hasPrefix("\($0).") }) {
                #expect(Schema.option(String(part)) != nil, "\(part)")
            }
        }
    }

    @Test func theManualPageIsRight() async throws {
        let page = "\(repositoryDirectory)/packaging/man/upgradelinkd.toml.5"
        guard Files.exists("/usr/bin/groff") else { return }
        let run = await Program(
            "/usr/bin/groff", ["-man", "-Tutf8", "-ww", "-Wbreak", page], streams: .captured, timeLimit: 20
        )
        .run()
        #expect(run.end == .exited(0) && run.errors.isEmpty, "\(run.errors)")
    }
}
