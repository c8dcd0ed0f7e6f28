import Host
import TestSupport
import Testing
import UpdateCore

/// The last line that a module writes to standard error is the reason that the operator sees.
@Suite struct ModuleReasonTests {
    private func result(_ script: String, timeouts: String = "{}") async throws -> String {
        let device = try await InstallerDevice(
            install: "module = \"talking\"\nmoduleDirectories = [\"@ROOT@/modules\"]\ntimeouts = \(timeouts)")
        try device.scratch.write("artifact-file", "x")
        try device.scratch.write("modules/talking", "#!/bin/sh\n\(script)\n", mode: 0o755)
        let job = try await device.job(1, version: 2, artifact: "artifact-file")
        switch await device.run(.install(job)).result {
        case .rolledBack(let reason, _), .failed(let reason, _): return reason
        case let other: return "\(other)"
        }
    }

    @Test(arguments: [
        (
            "echo first >&2; echo 'app: /opt/app is full: free some space' >&2; echo no reason",
            "app: /opt/app is full: free some space"
        ),
        ("printf 'no line break' >&2", "no line break"),
        ("echo reason >&2; echo >&2; echo '  ' >&2", "reason"),
        ("echo '<3>with a priority' >&2", "with a priority"),
        ("printf 'red \\033[31m and bell \\007 and \\342\\200\\256mark\\n' >&2", "red  [31m and bell   and mark"),
        ("echo only output", "exit status 1"), ("", "exit status 1"),
    ])
    func theLastLineIsTheReason(script: String, reason: String) async throws {
        let text = try await result("[ \"$1\" = ArtifactInstall ] || exit 0\n\(script)\nexit 1")
        #expect(text == "talking failed in ArtifactInstall: \(reason)")
    }

    @Test func theReasonIsBounded() async throws {
        let text = try await result(
            "[ \"$1\" = ArtifactInstall ] || exit 0\nhead -c 200000 /dev/zero | tr '\\0' x >&2\nexit 1")
        #expect(text == "talking failed in ArtifactInstall: " + String(repeating: "x", count: 300))
    }

    @Test func aQueryHasAReasonToo() async throws {
        let text = try await result(
            "[ \"$1\" = NeedsArtifactReboot ] || exit 0\necho 'app: no bootloader' >&2\nexit 1")
        #expect(text == "talking failed in NeedsArtifactReboot: app: no bootloader")
    }

    @Test func anEndWithoutAnExitStatusIsNamedToo() async throws {
        let killed = try await result("[ \"$1\" = ArtifactInstall ] || exit 0\necho working >&2\nkill -9 $$")
        #expect(killed == "talking failed in ArtifactInstall: ended by signal 9; its last message: working")
        let hanging = try await result(
            "[ \"$1\" = ArtifactInstall ] || exit 0\necho working >&2\nsleep 100", timeouts: "{ ArtifactInstall = 1 }")
        #expect(
            hanging
                == "talking failed in ArtifactInstall: it took too long and was stopped; its last message: working")
    }
}
