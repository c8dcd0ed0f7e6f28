import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

@testable import Installation

/// Updates of the whole image with the module `image`, the installer, two slots and reboots.
@Suite struct ImageUpdateTests {
    private let scratch: Scratch
    private let publisher: Publisher
    private let boots: Boots

    init() async throws {
        scratch = try Scratch()
        chmod(scratch.path, 0o755)
        publisher = try await Publisher(directory: "\(scratch.path)/publisher")
        for (name, text) in [("primary", "A"), ("current", "A"), ("state-A", "good"), ("state-B", "bad")] {
            try scratch.write("boot/\(name)", "\(text)\n")
        }
        for slot in ["A", "B"] { try scratch.write("slots/\(slot)", "VERSION_CODE=1\n") }
        symlink("slots/A", "\(scratch.path)/running")
        boots = Boots(
            scratch, publisher, module: "image",
            files: [
                "slots": "A=\(scratch.path)/slots/A B=\(scratch.path)/slots/B",
                "bootloader": "\(repositoryDirectory)/packaging/bootloaders/file \(scratch.path)/boot",
            ], versionFile: "\(scratch.path)/running")
    }

    private func boot(_ name: String) throws -> String { try scratch.read("boot/\(name)").filter { $0 != "\n" } }

    /// The bootloader starts the primary slot, or the one before if the new one does not come up.
    private func reboot(fallsBack: Bool = false) throws {
        let slot = try fallsBack ? boot("current") : boot("primary")
        try scratch.write("boot/current", "\(slot)\n")
        unlink("\(scratch.path)/running")
        symlink("slots/\(slot)", "\(scratch.path)/running")
    }

    private func job(_ version: Int, says: Int? = nil) async throws -> StagedInstallJob {
        let file = try scratch.write(
            "image-\(version)", "VERSION_CODE=\(says ?? version)\n" + String(repeating: "x", count: 300_000))
        return try await boots.job(InstallID(version), version: version, file: file)
    }

    @Test func severalVersionsAreInstalled() async throws {
        for version in 2...4 {
            let output = Collected()
            let result = try await boots.boot("boot-\(version)", .install(try await job(version))) { output.add($0) }
            #expect(result == .needsReboot(isRollback: false), "\(output.lines)")
            #expect(output.lines.contains { $0.leadingPercentage == 100 }, "\(output.lines)")
            try reboot()
            #expect(try await boots.start("boot-\(version + 1)") == .committed)
            #expect(try boot("current") == (version % 2 == 0 ? "B" : "A"))
            #expect(try boot("state-\(boot("current"))") == "good")
        }
    }

    @Test(arguments: [false, true]) func whatDoesNotWorkIsRolledBack(isUnhealthy: Bool) async throws {
        #expect(
            try await boots.boot("1", .install(try await job(2, says: isUnhealthy ? 2 : 7)))
                == .needsReboot(isRollback: false))
        try reboot()
        let health = isUnhealthy ? HealthCheck(program: ["/bin/false"], timeLimit: 1) : HealthCheck()
        #expect(try await boots.start("2", health: health) == .rebooting)
        #expect(try boot("primary") == "A" && boot("state-B") == "bad")
        try reboot()
        guard case .rolledBack? = try await boots.start("3") else {
            Issue.record("not rolled back")
            return
        }
        #expect(try boot("current") == "A" && boot("state-A") == "good")
        // The next version works.
        #expect(try await boots.boot("3", .install(try await job(3))) == .needsReboot(isRollback: false))
        try reboot()
        #expect(try await boots.start("4") == .committed)
    }

    /// The new slot does not boot, and the bootloader returns to the other one by itself.
    @Test func aFallbackOfTheBootloaderIsARollback() async throws {
        #expect(try await boots.boot("1", .install(try await job(2))) == .needsReboot(isRollback: false))
        try reboot(fallsBack: true)
        #expect(try await boots.start("2") == .rebooting)
        try reboot()
        guard case .rolledBack(let reason, _)? = try await boots.start("3") else {
            Issue.record("not rolled back")
            return
        }
        #expect(reason.contains("the device still runs from slot A"))
        #expect(try boot("primary") == "A" && boot("state-B") == "bad")
    }

    /// A state fails after it has done its work.
    @Test(arguments: ["ArtifactInstall", "ArtifactVerifyReboot", "ArtifactCommit"])
    func aStateThatFailsInTheEndIsRolledBack(state: String) async throws {
        let module = try scratch.write(
            "modules/image",
            """
            #!/bin/sh
            if [ "$1" = \(state) ] && [ ! -e \(scratch.path)/failed ]; then
                touch \(scratch.path)/failed
                \(modulesDirectory)/image "$@"
                exit 1
            fi
            exec \(modulesDirectory)/image "$@"
            """, mode: 0o755)
        var failing = boots
        failing.settings.moduleDirectories = [Files.directory(of: module)]
        var result: InstallResult? = try await failing.boot("1", .install(try await job(2)))
        for number in 2...5 {
            switch result {
            case .needsReboot?, .rebooting?: try reboot()
            default: break
            }
            guard let next = try await failing.start("\(number)") else { break }
            result = next
        }
        guard case .rolledBack? = result else {
            Issue.record("\(String(describing: result))")
            return
        }
        #expect(try boot("current") == "A" && boot("primary") == "A" && boot("state-A") == "good")
        #expect(try boot("state-B") == "bad")
    }
}
