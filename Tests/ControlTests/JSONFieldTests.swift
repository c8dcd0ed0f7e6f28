import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport
import Testing
import UpdateCore

/// The fields of the JSON output are those in docs/json.md, and stand for none as it says.
@Suite(.enabled(if: getuid() == 0, "a private system bus needs root"))
struct JSONFieldTests {
    private let device: AgentDevice
    private static let policy = "\(repositoryDirectory)/packaging/dbus/org.upgradelink.Agent1.conf"

    init() async throws { device = try await AgentDevice() }

    /// The rows of one section: the field, its type, and when it is null.
    private func documented(_ section: String) throws -> [String: (type: String, null: String)] {
        let page = String(
            decoding: try Files.read("\(repositoryDirectory)/docs/json.md", limit: 1 << 20), as: UTF8.self)
        let start = try #require(page.firstRange(of: "## \(section)\n")).upperBound
        let end = page[start...].firstRange(of: "\n## ")?.lowerBound ?? page.endIndex
        var rows: [String: (String, String)] = [:]
        for line in page[start..<end].split(separator: "\n") where line.hasPrefix("| `") {
            let cells = line.split(separator: "|", omittingEmptySubsequences: false)
                .map { $0.filter { $0 != "`" } }
            rows[cells[1].trimmed] = (cells[2].trimmed, cells[4].trimmed)
        }
        return rows
    }

    /// Each field of a JSON text with the type of its value; a program that shares no code with this project reads it.
    private func fields(_ json: String) async throws -> [(field: String, type: String)] {
        let script = """
            import json, sys
            names = {str: "text", int: "number", list: "list", dict: "object", type(None): "null"}
            def walk(value, path):
                for item in value if isinstance(value, list) else []:
                    walk(item, path + "[]" if path else "")
                for key, inner in value.items() if isinstance(value, dict) else []:
                    name = path + "." + key if path else key
                    print(name, names[type(inner)])
                    walk(inner, name)
            walk(json.loads(sys.argv[1]), "")
            """
        let result = try await Subprocess.run(
            .path("/usr/bin/python3"), arguments: ["-c", script, json], output: .string(limit: 1 << 20),
            error: .string(limit: 1 << 16))
        #expect(result.terminationStatus.isSuccess, "\(result.standardError) \(json)")
        return result.standardOutput.split(separator: "\n").map { line in
            let words = line.split(separator: " ")
            return (String(words[0]), String(words[1]))
        }
    }

    private func check(_ outputs: [String], _ section: String) async throws {
        let documented = try documented(section)
        var seen: Set<String> = []
        for output in outputs {
            for (field, type) in try await fields(output) {
                guard let row = documented[field] else {
                    Issue.record("docs/json.md does not have \(section)'s \(field)")
                    continue
                }
                if type == "null" { #expect(row.null != "never", "\(field)") }
                if type != "null" { #expect(row.type.hasPrefix(type), "\(field) is a \(type)") }
                seen.insert(field)
            }
        }
        #expect(seen == Set(documented.keys), "\(Set(documented.keys).subtracting(seen)) were not printed")
    }

    @Test func theFieldsAreThoseOfThePage() async throws {
        let prompted = try await device.publish(2, type: 1)
        let slow = try await device.publish(3, ballast: 40_000_000)
        let control = "\(programsDirectory)/upgradelinkctl"
        let device = device
        try await PrivateBus.run(directory: device.scratch.path, policies: [Self.policy]) { bus async throws in
            let faults = [Fault(path: "/files/v3", bytesPerSecond: 500_000)]
            try await SimulatedServer.run(device.server([prompted], faults: faults)) { server async throws in
                try device.configure(server: server.url)
                try await AgentProcess.run(device, environment: bus.environment) { agent async throws in
                    #expect(await agent.says("Waiting for consent"))
                    var outputs = [try await ControlRun.of(["status", "--json"], bus: bus.address).output]
                    for field in ["lastError", "progress"] {
                        #expect(outputs[0].filter { $0 != " " }.contains("\"\(field)\":null"), "\(outputs[0])")
                    }
                    #expect(try await ControlRun.of(["reject"], bus: bus.address).status == .exited(0))
                    outputs.append(try await ControlRun.of(["status", "--json"], bus: bus.address).output)
                    await server.change { $0.applications[0].versions.append(slow) }
                    #expect(try await ControlRun.of(["check"], bus: bus.address).status == .exited(0))
                    #expect(await eventually { await bus.property("Progress")?.hasPrefix("(ttt) 0 0 ") == false })
                    let inhibited = ["inhibit", "--what", "reboot", "--", control, "status", "--json"]
                    outputs.append(try await ControlRun.of(inhibited, bus: bus.address).output)
                    try await check(outputs, "status")
                    try await check(
                        [try await ControlRun.of(["history", "--json"], bus: bus.address).output], "history")
                }
            }
        }
    }

    /// An agent of 0.1.0 still runs while the package is upgraded. Tests/Attacks/agent.py has its types.
    @Test func anAgentOf010IsUnderstood() async throws {
        try await PrivateBus.run(directory: device.scratch.path, policies: [Self.policy]) { bus async throws in
            let socket = "\(device.scratch.path)/bus"
            _ = try await Subprocess.run(
                .path("/usr/bin/python3"),
                arguments: ["\(repositoryDirectory)/Tests/Attacks/agent.py", socket, "former"],
                input: .none, output: .sequence, error: .discarded
            ) { former async throws in
                for try await line in former.standardOutput.strings() where line == "ready" { break }
                defer { kill(former.processIdentifier.value, SIGKILL) }
                let status = try await ControlRun.of(["status"], bus: bus.address)
                for line in [
                    "Offer:       v2 (code 2), prompt, 10 kB", "             Better",
                    "Inhibited:   install by TV: a film",
                ] {
                    #expect(status.output.contains(line), "\(line) in \(status)")
                }
                let history = try await ControlRun.of(["history"], bus: bus.address)
                #expect(history.output.contains("rolledBack  v1 (code 1), silent, 10 kB, took 4 s: no"), "\(history)")
                try await check([try await ControlRun.of(["history", "--json"], bus: bus.address).output], "history")
                let json = try await fields(try await ControlRun.of(["status", "--json"], bus: bus.address).output)
                #expect(
                    json.contains { $0 == ("lastErrorCode", "null") }
                        && json.contains { $0 == ("offer.source", "null") })
                #expect(!json.contains { $0.field.hasPrefix("refusedVersions[]") })
            }
        }
    }
}

extension StringProtocol {
    fileprivate var trimmed: String {
        var text = drop { $0 == " " }
        while text.last == " " { text = text.dropLast() }
        return String(text)
    }
}
