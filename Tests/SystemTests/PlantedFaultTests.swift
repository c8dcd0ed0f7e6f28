import Host
import TestSupport
import Testing

extension SystemTests.Packages {
    /// Faults are planted one after another in a device that is all right, and removed again.
    @Suite struct PlantedFaultTests {
        struct Report: Decodable {
            struct Finding: Decodable, Hashable {
                var name: String
                var result: String
                var text: String
                var remedy: String?
            }
            var findings: [Finding]
            var summary: [String: Int]

            func results(of name: String) -> [Finding] { findings.filter { $0.name == name } }
            var problems: [Finding] { findings.filter { $0.result == "bad" || $0.result == "warn" } }
        }

        private func report(_ machine: Machine, _ prefix: String = "") async throws -> Report {
            let output = await machine.shell("\(prefix) upgradelinkctl doctor --json")
            do { return try JSONLine.decode(Report.self, from: Array(output.utf8)) } catch {
                Issue.record("\(error): \(output)")
                throw error
            }
        }

        private func isFault(_ finding: Report.Finding, _ fault: PlantedFault) -> Bool {
            finding.name == fault.name && finding.result == fault.result && finding.text.contains(fault.text)
                && (fault.remedy.isEmpty ? finding.remedy == nil : finding.remedy?.contains(fault.remedy) == true)
        }

        private func withDevice(_ body: @Sendable (Container, Machine) async throws -> Void) async throws {
            try await Container().run { container async throws in
                let fixture = try await DeviceFixture(container)
                try fixture.configure(install: "healthUnits = [\"upgradelinkd.service\"]")
                try await container.boot { machine async throws in
                    try await machine.run("systemctl", "start", "sim")
                    try await body(container, machine)
                }
            }
        }

        private func check(_ faults: [PlantedFault]) async throws {
            try await withDevice { _, machine async throws in
                try await machine.run("systemctl", "enable", "--now", "sim", "upgradelinkd")
                #expect(await machine.status(says: "Up to date"))
                let before = try await report(machine).problems
                #expect(before.isEmpty, "\(before)")
                #expect(await machine.shell("upgradelinkd --check-config 2>&1") == "The configuration is right.")
                for fault in faults {
                    let errors = await machine.shell("{ \(fault.plant)\n} 2>&1")
                    let found = try await report(machine)
                    #expect(
                        found.findings.contains { isFault($0, fault) },
                        "\(fault.name), \(fault.text): \(found.problems), \(errors)")
                    if fault.isHarmless { #expect(found.problems.isEmpty, "\(fault): \(found.problems), \(errors)") }
                    if fault.isConfigurationFault {
                        let check = await machine.shell("upgradelinkd --check-config 2>&1; echo $?")
                        #expect(check.contains(fault.text) && check.hasSuffix("\n78"), "\(fault): \(check)")
                    }
                    _ = await machine.shell("{ \(fault.undo)\n} 2>&1")
                    let isWellAgain = await eventually(within: 30) {
                        (try? await report(machine))?.problems.isEmpty == true
                    }
                    if !isWellAgain {
                        let left = try await report(machine).problems
                        Issue.record("after \(fault.name), \(fault.text): \(left)")
                        return
                    }
                }
            }
        }

        @Test func whatTheAgentCannotUseIsFound() async throws { try await check(PlantedFault.rights) }
        @Test func whatTheInstallerCannotUseIsFound() async throws { try await check(PlantedFault.programs) }
        @Test func faultsOfTheSystemAreFound() async throws { try await check(PlantedFault.system) }

        @Test func aNewInstallationIsCheckedWithoutSideEffects() async throws {
            try await withDevice { container, machine async throws in
                // The agent has never been started.
                #expect(await machine.shell("upgradelinkd --check-config 2>&1") == "The configuration is right.")
                var found = try await report(machine)
                #expect(Set(found.problems.map(\.name)) == ["unit", "installer", "agent"], "\(found.problems)")
                #expect(found.results(of: "updates").map(\.result) == ["skip"])
                for directory in ["/var/lib/upgradelinkd", "/var/cache/upgradelinkd"] {
                    #expect(await machine.shell("ls -A \(directory)") == "", "nothing is stored")
                }
                // Without systemd, the rights of the user count, and the sandbox is not checked.
                let alone = "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent"
                _ = await machine.shell("chmod 000 /opt")
                found = try await report(machine, alone)
                #expect(found.results(of: "agent's rights").map(\.result) == ["skip"], "\(found.findings)")
                #expect(found.results(of: "installed version").map(\.result) == ["bad"], "\(found.findings)")
                #expect(found.results(of: "unit").map(\.result) == ["skip"])
                _ = await machine.shell("chmod 755 /opt")
                // The agent itself says why it waits.
                _ = await machine.shell("chmod 600 \(PlantedFault.version); systemctl start upgradelinkd")
                let hasStarted = await eventually(within: 60) {
                    await machine.journal("-u upgradelinkd -o cat").contains("chgrp upgradelinkd")
                }
                #expect(hasStarted)
            }
        }

        @Test func textAndJSONAgreeAndOtherUsersAreToldWhy() async throws {
            try await withDevice { container, machine async throws in
                try await machine.run("systemctl", "enable", "--now", "upgradelinkd")
                #expect(await machine.status(says: "Up to date"))
                let text = await machine.shell("upgradelinkctl doctor; echo $?").split(separator: "\n").map(String.init)
                let found = try await report(machine)
                #expect(text.last == "0" && text.count == found.findings.count + 2, "\(text)")
                let columns = Set(
                    text.dropLast(2).compactMap { line in
                        line.firstIndex(of: ":").map { line.distance(from: line.startIndex, to: $0) }
                    })
                #expect(columns.count == 1, "the colons are aligned: \(text)")
                let marks = ["ok": "ok", "warn": "warn", "bad": "BAD", "skip": "skip"]
                for (line, finding) in zip(text, found.findings)
                where !["agent", "clock", "disk space"].contains(finding.name) {
                    #expect(line.hasPrefix(marks[finding.result] ?? "?"), "\(line)")
                    #expect(line.contains("\(finding.name): \(finding.text)"), "\(line), \(finding)")
                }
                let counts = ["ok", "warn", "bad", "skip"].map { found.summary[$0] ?? -1 }
                #expect(
                    text[text.count - 2] == "\(counts[0]) ok, \(counts[1]) warn, \(counts[2]) BAD, \(counts[3]) skip")
                #expect(
                    found.results(of: "keys").first?.text.contains(
                        /1 trusted: [0-9A-F]{8,16} \(\/etc\/upgradelinkd\/upgradelinkd.toml\)/) == true)

                for command in ["upgradelinkctl doctor", "upgradelinkd --check-config"] {
                    let refused = await machine.shell("setpriv --reuid=65534 --clear-groups \(command) 2>&1; echo $?")
                    #expect(refused.contains("needs root, because") && refused.hasSuffix("\n77"), "\(refused)")
                    #expect(refused.contains("run sudo \(command)"), "\(refused)")
                }
            }
        }
    }
}
