import Glibc
import Simulator
import TestSupport
import Testing

/// The second process of `doctor`, which has the rights of the agent's user only.
@Suite(.enabled(if: getuid() == 0, "only root can become another user"))
struct AgentRightsTests {
    private let scratch: Scratch

    init() throws {
        scratch = try Scratch()
        chmod(scratch.path, 0o711)
    }

    /// What it finds out about a file of the configuration, if root started it with these groups.
    private func finding(about file: String, groups: String) async throws -> String {
        let needs = """
            {"configuration": [{"path": "\(file)", "content": "any"}], "credentials": [], "certificates": [], "directories": [],
             "devKey": "x", "versionCode": 1, "versionName": "1", "stateDirectory": "/", "hidden": {}, "created": []}
            """
        let request = needs.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        let arguments = [
            "--groups", groups, "\(programsDirectory)/upgradelinkctl", "--agent-needs", request, "daemon",
        ]
        let output = try await execute("sh", ["-c", #"exec setpriv "$@" 2>&1"#, "sh"] + arguments)
        return try #require(
            output.split(separator: "\n").first { $0.contains(#""name":"files""#) }.map(String.init), "\(output)")
    }

    @Test(arguments: [(0o644, 0, true), (0o640, 0, false), (0o640, 4242, false), (0o600, 0, false)])
    func nothingOfRootsRightsIsLeft(mode: Int, group: Int, isReadable: Bool) async throws {
        let file = try scratch.write("file", "")
        #expect(chown(file, 0, gid_t(group)) == 0 && chmod(file, mode_t(mode)) == 0)
        let finding = try await finding(about: file, groups: "0,4242")
        #expect(finding.contains(isReadable ? #""result":"ok""# : #""result":"bad""#), "\(finding)")
        #expect(isReadable || finding.contains("Permission denied"), "\(finding)")
    }
}
