import Host
import TestSupport
import Testing
import UpdateCore

@testable import Configuration

/// The configuration that is installed, alone, with its options in effect, and with lines appended to it.
@Suite struct ShippedFileTests {
    private let root: Scratch
    private let shipped: String

    init() throws {
        root = try Scratch()
        shipped = String(
            decoding: try Files.read("\(repositoryDirectory)/config/upgradelinkd.toml", limit: 1 << 20), as: UTF8.self)
    }

    /// The lines that README and the quick start recommend.
    private let snippet = """
        verification.keys = ["RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"]
        credentials.accessKey = "access"
        credentials.secretKey = "secret"
        device.urlKey = "player"
        device.devKey = "d"
        device.versionFile = "/opt/player/version"
        install.module = "directory"
        install.files = { link = "/opt/player" }
        install.restartUnits = ["player.service"]

        """

    /// The same with a header for each section.
    private let sections = """
        [verification]
        keys = ["RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"]
        [credentials]
        accessKey = "access"
        secretKey = "secret"
        [device]
        urlKey = "player"
        devKey = "d"
        versionFile = "/opt/player/version"
        [install]
        module = "directory"
        files = { link = "/opt/player" }
        restartUnits = ["player.service"]

        """

    private func load(_ main: String, dropIns: [String] = []) throws(ConfigurationErrors) -> Settings {
        do {
            try root.write("etc/upgradelinkd/upgradelinkd.toml", main)
            for (number, text) in dropIns.enumerated() {
                try root.write("etc/upgradelinkd/upgradelinkd.toml.d/\(number).toml", text)
            }
        } catch { Issue.record("\(error)") }
        return try Settings.loadWithCredentials(root: root.path, environment: [:]).settings
    }

    @Test func linesCanBeAppendedOrStandAlone() throws {
        let expected = try load(snippet)
        #expect(expected.device.urlKey == "player" && expected.install.files == ["link": "/opt/player"])
        for text in [sections, shipped + snippet, shipped + sections, snippet + shipped, sections + shipped] {
            #expect(try load(text) == expected)
        }
        // Options that were set in the file before stay.
        let edited = shipped.replacing("#device.devKeyFormat", with: "device.devKeyFormat")
            .replacing("#poll.interval = \"6h\"", with: "poll.interval = \"1h\"")
        #expect(edited != shipped)
        let settings = try load(edited + snippet)
        #expect(settings.poll.interval == 3600 && settings.device == expected.device)
        for pair in [[snippet, snippet], [sections, snippet], [sections, sections]] {
            #expect(try load(shipped, dropIns: pair) == expected)
        }
    }

    /// The file states the actual defaults: the settings do not change if these lines are enabled.
    @Test func theShippedFileHasTheActualDefaults() throws {
        let plain = try load(snippet)
        var options = 0
        let lines = shipped.split(separator: "\n").map { line -> String in
            guard line.hasPrefix("#"), line.dropFirst().first?.isLetter == true, let end = line.firstRange(of: " = "),
                let option = Schema.option(String(line[..<end.lowerBound].dropFirst())), option.standard != nil,
                !snippet.contains("\(option.key) = ")
            else { return String(line) }
            options += 1
            return String(line.dropFirst())
        }
        #expect(options > 40)
        #expect(try load(snippet, dropIns: [lines.joined(separator: "\n")]) == plain)
    }

    @Test func everyOptionIsInTheShippedFile() {
        let documented = shipped.split(separator: "\n").compactMap { line -> String? in
            guard line.hasPrefix("#"), line.dropFirst().first?.isLetter == true, let end = line.firstRange(of: " = ")
            else { return nil }
            return String(line[..<end.lowerBound].dropFirst())
        }
        #expect(documented == Schema.options.map(\.key))
        #expect(shipped.hasPrefix("#:schema /usr/share/upgradelinkd/upgradelinkd.schema.json\n"))
    }
}
