import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport
import Testing
import UpdateCore

/// The prompts in docs/examples, with a real agent on a private bus. Their standard input is the user.
@Suite(.enabled(if: getuid() == 0, "a private system bus needs root"))
struct PromptExampleTests {
    private let device: AgentDevice
    private static let examples = "\(repositoryDirectory)/docs/examples"

    init() async throws { device = try await AgentDevice() }

    enum Example: CaseIterable { case c, python }

    private func command(_ example: Example) async throws -> [String] {
        switch example {
        case .python: return ["/usr/bin/python3", "\(Self.examples)/prompt.py"]
        case .c:
            let program = "\(device.scratch.path)/prompt"
            try await execute(
                "sh",
                [
                    "-c",
                    "exec gcc -Wall -Wextra -Werror -o \(program) \(Self.examples)/prompt.c $(pkg-config --cflags --libs libsystemd)",
                ])
            return [program]
        }
    }

    /// A prompt that does not ask, or whose call has no effect, would wait for ever.
    @Test(.timeLimit(.minutes(3)), arguments: Example.allCases)
    func thePromptAsksAndCallsTheAgent(example: Example) async throws {
        let command = try await command(example)
        var version = try await device.publish(2, type: 1)
        version.promptUpgradeContent = "Better"
        let (device, prompted) = (device, version)
        let policy = "\(repositoryDirectory)/packaging/dbus/org.upgradelink.Agent1.conf"
        try await PrivateBus.run(directory: device.scratch.path, policies: [policy]) { bus async throws in
            try await SimulatedServer.run(device.server([])) { server async throws in
                try device.configure(server: server.url, changes: "[poll]\ninterval = \"1s\"")
                try await AgentProcess.run(device, environment: bus.environment) { agent async throws in
                    #expect(await agent.says("Up to date (v1, code 1)"))
                    // The prompt runs before there is an offer: the signal makes it ask.
                    var lines = try await answer(command, bus) { prompt, line in
                        if line == nil { await server.change { $0.applications[0].versions.append(prompted) } }
                        if line?.contains("[l]ater (3 left)") == true { _ = try await prompt.write("l\n") }
                        return await bus.property("DeferralsLeft") == "u 2"
                    }
                    #expect(
                        lines.contains { $0.hasPrefix("Update to v2 (") && $0.hasSuffix(" bytes, from the server)") })
                    #expect(lines.contains("Better"), "\(lines)")
                    // This one finds the offer at its start.
                    lines = try await answer(command, bus) { prompt, line in
                        if line?.contains("[l]ater (2 left)") == true { _ = try await prompt.write("n\n") }
                        return line?.contains("v2: installed") == true
                    }
                    #expect(device.runs == 2, "\(lines)")
                    let third = try await device.publish(3, type: 1)
                    await server.change { $0.applications[0].versions.append(third) }
                    lines = try await answer(command, bus) { prompt, line in
                        if line?.contains("Update to v3") == true { _ = try await prompt.write("v\n") }
                        return line?.contains("v3: rejected") == true
                    }
                    #expect(device.runs == 2, "\(lines)")
                }
            }
        }
    }

    /// Runs the prompt until `isDone`, which gets nil after the start, and then each line or piece that the prompt prints.
    private func answer(
        _ command: [String], _ bus: PrivateBus,
        isDone: @Sendable @escaping (StandardInputWriter, String?) async throws -> Bool
    ) async throws -> [String] {
        try await Subprocess.run(
            .path(FilePath(command[0])), arguments: .init(Array(command.dropFirst())),
            environment: .inherit.updating(["DBUS_SYSTEM_BUS_ADDRESS": bus.address]), input: .inputWriter,
            output: .sequence, error: .discarded
        ) { prompt async throws in
            _ = try await isDone(prompt.standardInputWriter, nil)
            var text = ""
            for try await piece in prompt.standardOutput {
                text += String(decoding: piece.withUnsafeBytes { Array($0) }, as: UTF8.self)
                let last = text.split(separator: "\n").suffix(3).joined(separator: "\n")
                if try await isDone(prompt.standardInputWriter, last) { break }
            }
            kill(prompt.processIdentifier.value, SIGTERM)
            return text.split(separator: "\n").map(String.init)
        }.closureResult
    }
}
