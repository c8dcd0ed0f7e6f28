import Glibc
import Host
import Simulator
import Subprocess
import TestSupport
import Testing

extension SystemTests.Releases {
    /// docs/quickstart.md, command by command, in clean installations of Debian without a network.
    @Suite struct QuickStartTests {
        private static let requirement = "packaging/dependencies.sh test makes .cache/debian/SUITE-apt.tar"
        private static var suites: [Suite] { Suite.available }

        @Test(.enabled(if: !suites.isEmpty, "\(requirement)"), arguments: suites)
        func aNewUserSucceeds(on suite: Suite) async throws {
            let steps = try QuickStart.read().steps
            #expect(steps.count >= 15, "the document has its commands")
            try await Self.run(suite) { container, machine async throws in
                for step in steps {
                    let output = try await Self.run(step.commands, container, machine)
                    let isRight = QuickStart.matches(output, step.expected)
                    #expect(
                        isRight,
                        """
                        docs/quickstart.md:\(step.line):
                        \(step.commands)
                        -- expected
                        \(step.expected.joined(separator: "\n"))
                        -- found
                        \(output)
                        """)
                    // The next steps depend on this one.
                    guard isRight else { return }
                }
                let left = """
                    find / -xdev -name '*upgradelink*' -not -path '/proc/*' -not -path '/sys/*' -not -path '/root/*.deb'; \
                    find /opt /etc /var /root -xdev -name '*player*' -o -path /root/quickstart
                    """
                #expect(await machine.shell(left) == "", "the last step has removed everything")
            }
        }

        /// The lines for the configuration may also follow what the package installs.
        @Test(.enabled(if: !suites.isEmpty, "\(requirement)"))
        func theConfigurationMayBeAppended() async throws {
            let suite = try #require(Self.suites.first)
            let steps = try QuickStart.read().steps
            let place = try #require(steps.firstIndex { $0.commands.contains("--check-config") })
            let replaced = steps[place].commands
            let appended = replaced.replacing("cat >/etc/", with: "cat >>/etc/")
            #expect(appended != replaced)
            try await Self.run(suite) { container, machine async throws in
                for step in steps[..<place] { _ = try await Self.run(step.commands, container, machine) }
                let status = "\necho \"exit status $?\""
                let output = try await Self.run(appended + status, container, machine)
                #expect(output.hasSuffix("exit status 0\n"), "\(output)")
            }
        }

        private static func run(
            _ suite: Suite, _ body: @Sendable (Container, Machine) async throws -> Void
        ) async throws {
            try await Container(.cleanDebianOnDisk(suite)).run { container async throws in
                try await execute("tar", ["-xf", suite.packages, "-C", container.root])
                for name in ["upgradelinkd", "upgradelink-sim"] {
                    try await execute("cp", [try PackageLayer.package(name), "\(container.root)/root/"])
                }
                try await container.boot { machine async throws in try await body(container, machine) }
            }
        }

        /// Runs commands in the directory where the commands before have ended.
        ///
        /// - Returns: what they print.
        private static func run(
            _ commands: String, _ container: Container, _ machine: Machine
        ) async throws -> String {
            try container.write(
                "srv/step.sh",
                "cd \"$(cat /srv/directory 2>/dev/null || echo ~)\"\ntrap 'pwd >/srv/directory' EXIT\n\(commands)\n")
            let result = try await Subprocess.run(
                .name("timeout"),
                arguments: [
                    "300", "nsenter", "-t", "\(machine.pid)", "-a", "env", "-i", "HOME=/root", "LANG=C.UTF-8",
                    "TERM=dumb", "DEBIAN_FRONTEND=noninteractive",
                    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c",
                    "exec bash /srv/step.sh 2>&1",
                ], input: .none, output: .string(limit: 1 << 20), error: .string(limit: 65_536))
            return result.standardOutput + result.standardError
        }
    }

    /// The document's form, without a container.
    @Suite struct QuickStartDocumentTests {
        @Test(arguments: [
            (["a", "b"], "a\nb\n", true), (["a", "b"], "a\n", false), (["a"], "a\nb\n", false), ([], "", true),
            ([], "warning\n", false), (["…"], "", true), (["…"], "a\nb\n", true),
            (["a", "…", "d"], "a\nb\nc\nd\n", true),
            (["a", "…", "d"], "a\nd\n", true), (["a", "…", "d"], "a\nb\n", false), (["took … s"], "took 12 s\n", true),
            (["took … s"], "took 12 min\n", false), (["… a …"], "x a y\n", true), (["… a …"], "x b y\n", false),
            (["…", "a", "…", "a"], "a\nb\na\n", true), (["x…x"], "x\n", false),
            (["…", "b", "…"], "a 5%\ra 100%\r\nb\nc\n", true),
        ])
        func theOutputIsCompared(expected: [String], output: String, isRight: Bool) {
            #expect(QuickStart.matches(output, expected) == isRight)
        }

        @Test func aBlockOfAnUnknownKindIsAnError() throws {
            let right = try QuickStart("text\n```sh\na\nb\n```\n\n```text\nx\n```\n```sh\nc\n```\n")
            #expect(right.steps.map(\.commands) == ["a\nb", "c"])
            #expect(right.steps.map(\.expected) == [["x"], []] && right.steps.map(\.line) == [3, 11])
            for wrong in [
                "```\na\n```\n", "```sh\na\n", "```text\na\n```\n", "```sh\na\n```\n```text\nb\n```\n```text\nc\n```\n",
            ] {
                #expect(throws: QuickStart.Malformed.self) { try QuickStart(wrong) }
            }
        }
    }
}
