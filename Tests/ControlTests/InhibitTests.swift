import Glibc
import Host
import Subprocess
import SystemPackage
import TestSupport
import Testing

/// `upgradelinkctl inhibit` ends as the command ends.
@Suite(.enabled(if: getuid() == 0, "a private system bus needs root"))
struct InhibitTests {
    private let fixture: ControlFixture

    init() async throws { fixture = try await ControlFixture() }

    @Test func theStatusIsThatOfTheCommand() async throws {
        let notExecutable = try fixture.device.scratch.write("plain", "text", mode: 0o644)
        let noInterpreter = try fixture.device.scratch.write("script", "#!/nonexistent/sh\n", mode: 0o755)
        try await fixture.withAgent { bus, _, _ async throws in
            for (command, status) in [
                (["true"], 0), (["sh", "-c", "exit 7"], 7), (["sh", "-c", "kill -KILL $$"], 137),
                (["sh", "-c", "kill -TERM $$"], 143), (["/nonexistent/program"], 127), (["no-such-program"], 127),
                ([notExecutable], 126), ([noInterpreter], 126), (["/"], 126), (["grep", "x", "/dev/null"], 1),
                ([""], 127),
            ] as [([String], Int32)] {
                let run = try await ControlRun.of(["inhibit", "--"] + command, bus: bus)
                #expect(run.status == .exited(status), "\(command): \(run)")
                #expect(run.error.isEmpty != [126, 127].contains(status), "\(command): \(run)")
            }
            let input = try await Subprocess.run(
                .path(FilePath("\(programsDirectory)/upgradelinkctl")), arguments: ["inhibit", "--", "cat"],
                environment: .inherit.updating(["DBUS_SYSTEM_BUS_ADDRESS": bus]), input: .string("from outside\n"),
                output: .string(limit: 100), error: .discarded)
            #expect(input.standardOutput == "from outside\n")
            // What is behind "--" is the command's.
            let own = try await ControlRun.of(["inhibit", "--", "echo", "--json", "--help"], bus: bus)
            #expect(own.output == "--json --help\n", "\(own)")
            let wrong = try await ControlRun.of(["inhibit", "--what", "tea", "--", "true"], bus: bus)
            #expect(wrong.status == .exited(125) && !wrong.error.isEmpty, "\(wrong)")
        }
        let absent = try await ControlRun.of(["inhibit", "--", "true"], bus: "unix:path=/nonexistent")
        #expect(absent.status == .exited(125) && absent.error.hasPrefix("there is no system bus"), "\(absent)")
    }

    /// As `nohup upgradelinkctl inhibit -- COMMAND` is started, and in a script `upgradelinkctl inhibit -- COMMAND &`.
    @Test(arguments: ["HUP", "INT", "TERM"]) func anIgnoredSignalStaysIgnored(name: String) async throws {
        try await fixture.withAgent { bus, _, _ async throws in
            let script = "kill -\(name) $PPID; kill -\(name) $$; sleep 1; exit 5"
            let run = try await ControlRun.of(
                ["inhibit", "--", "sh", "-c", script], bus: bus,
                prefix: ["/bin/sh", "-c", "trap '' \(name); exec \"$@\"", "sh"])
            #expect(run.status == .exited(5), "\(run)")
        }
    }

    @Test(arguments: [("TERM", SIGTERM), ("INT", SIGINT), ("HUP", SIGHUP)])
    func aSignalIsPassedOn(name: String, signal: Int32) async throws {
        let scratch = fixture.device.scratch
        try await fixture.withAgent { bus, _, _ async throws in
            let status = try await Subprocess.run(
                .path(FilePath("\(programsDirectory)/upgradelinkctl")),
                arguments: [
                    "inhibit", "--", "sh", "-c",
                    "trap 'echo got > \(scratch.path)/trapped; exit 9' \(name); : > \(scratch.path)/ready; while :; do sleep 0.1; done",
                ],
                environment: .inherit.updating(["DBUS_SYSTEM_BUS_ADDRESS": bus]), input: .none, output: .discarded,
                error: .discarded
            ) { inhibit async throws in
                #expect(await eventually { scratch.exists("ready") })
                kill(inhibit.processIdentifier.value, signal)
            }.terminationStatus
            #expect(status == .exited(9))
            #expect(try scratch.read("trapped") == "got\n")
            #expect(
                await eventually { (try? await ControlRun.of([], bus: bus))?.output.contains("Inhibited") == false })
        }
    }
}
