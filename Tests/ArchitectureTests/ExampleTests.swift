import Host
import TestSupport
import Testing

/// The examples that an integrator copies to a device.
@Suite struct ExampleTests {
    private static let directory = "\(repositoryDirectory)/docs/examples"

    /// Drop-ins of systemd that are for other units than the agent's.
    private static let units: [String: [String]] = [
        "state-partition-installer.conf": ["upgradelink-installer", "upgradelink-installer-resume"]
    ]

    private static func examples(_ suffix: String) throws -> [String] {
        try Files.list(directory).filter { $0.hasSuffix(suffix) }
    }

    private static func text(_ path: String) throws -> String {
        String(decoding: try Files.read(path, limit: 1 << 20), as: UTF8.self)
    }

    /// What systemd-analyze(1) says about a drop-in of a unit; nothing if it is right.
    @MainActor private func complaints(about text: String, for unit: String) async throws -> [String] {
        let scratch = try Scratch()
        let packaged = try Self.text("\(repositoryDirectory)/packaging/systemd/\(unit).service.in")
        // The programs need not be installed here.
        try scratch.write("\(unit).service", packaged.replacing(/@(SBIN|BIN|LIB)DIR@\/[a-z-]+/, with: "/bin/true"))
        try scratch.write("\(unit).service.d/example.conf", text)
        let (_, lines, end) = await Program(
            "/usr/bin/systemd-analyze", ["verify", "--man=no", "\(scratch.path)/\(unit).service"], streams: .captured,
            timeLimit: 60
        ).run()
        #expect(end == .exited(0), "\(lines)")
        return lines.filter { $0.contains("example.conf") }
    }

    @Test(.enabled(if: Files.exists("/usr/bin/systemd-analyze"), "systemd-analyze checks the drop-ins")) @MainActor
    func systemdAcceptsEachDropIn() async throws {
        let names = try Self.examples(".conf")
        #expect(names.count >= 5)
        for name in names {
            let text = try Self.text("\(Self.directory)/\(name)")
            for unit in Self.units[name] ?? ["upgradelinkd"] {
                #expect(try await complaints(about: text, for: unit) == [], "\(name)")
                #expect(text.contains("/etc/systemd/system/\(unit).service.d/"), "\(name) says where it belongs")
            }
        }
        let wrong = try await complaints(about: "[Service]\nMemroyMax=1M\n", for: "upgradelinkd")
        #expect(wrong.count == 1, "a mistake is seen: \(wrong)")
    }

    /// Reads the configuration as the agent does, and shows where each value is from.
    @MainActor private func effectiveConfiguration(
        _ root: Scratch
    ) async -> (lines: [String], errors: [String], end: ProcessEnd) {
        await Program(
            "\(programsDirectory)/upgradelinkctl", ["config", "--changed", "--root", root.path], streams: .captured,
            timeLimit: 60
        ).run()
    }

    /// The lines that a reader pastes into the configuration can be a file of their own.
    @Test(arguments: ["README.md", "packaging/man/upgradelinkd.8"]) @MainActor
    func theFirstConfigurationIsAWholeFile(document: String) async throws {
        let text = try Self.text("\(repositoryDirectory)/\(document)").replacing("\\-", with: "-")
        let lines = text.split(separator: "\n").map { $0.trimmingPrefix(while: { $0 == " " }) }
        let start = try #require(lines.firstIndex { $0.hasSuffix("/etc/upgradelinkd/upgradelinkd.toml <<'END'") })
        let end = try #require(lines[start...].firstIndex { $0 == "END" })
        let options = lines[(start + 1)..<end]
        let root = try Scratch()
        try root.write("etc/upgradelinkd/upgradelinkd.toml", options.joined(separator: "\n") + "\n")
        let (shown, errors, status) = await effectiveConfiguration(root)
        #expect(status == .exited(0), "\(errors)")
        for option in options {
            let key = option.prefix { $0 != " " }
            #expect(shown.contains { $0.contains(key.split(separator: ".").last ?? key) }, "\(key)")
        }
    }

    @Test @MainActor func theAgentAcceptsEachConfiguration() async throws {
        let names = try Self.examples(".toml")
        #expect(!names.isEmpty)
        let root = try Scratch()
        let directory = "etc/upgradelinkd/upgradelinkd.toml.d"
        for name in names { try root.write("\(directory)/\(name)", try Self.text("\(Self.directory)/\(name)")) }
        let (lines, errors, end) = await effectiveConfiguration(root)
        #expect(end == .exited(0), "\(errors)")
        for name in names { #expect(lines.contains { $0.contains(name) }, "\(name) sets something: \(lines)") }
        try root.write("\(directory)/zz.toml", "poll.interval = \"soon\"\n")
        #expect(await effectiveConfiguration(root).end == .exited(78), "a mistake is seen")
    }

    /// The manual page and the guide show the same module, and a shell can read it.
    @Test @MainActor func theMinimalModuleIsTheSameInBothPlaces() async throws {
        func module(_ text: String, indented: String) throws -> String {
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            let start = try #require(lines.firstIndex { $0 == indented + "#!/bin/sh" })
            let end = try #require(lines[start...].firstIndex { $0 == indented + "esac" })
            return lines[start...end].map { String($0.dropFirst(indented.count)) }.joined(separator: "\n") + "\n"
        }
        let guide = try module(Self.text("\(repositoryDirectory)/docs/modules.md"), indented: "    ")
        let page = try module(
            Self.text("\(repositoryDirectory)/packaging/man/upgradelink-modules.7").replacing("\\-", with: "-"),
            indented: "")
        #expect(guide == page)
        let scratch = try Scratch()
        let path = try scratch.write("module", guide, mode: 0o755)
        let (lines, errors, end) = await Program(
            "/bin/sh", [path, "SupportsRollback"], streams: .captured, timeLimit: 60
        ).run()
        #expect(end == .exited(0) && lines == ["Yes"], "\(errors)")
    }
}
