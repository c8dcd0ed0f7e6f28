import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// What every update module must do, ours and Mender's.
@Suite struct ModuleTests {
    struct Module: Sendable, CustomTestStringConvertible {
        var name: String
        /// Absolute.
        var directory: String
        /// The `[install]` table.
        var install: String
        /// The file that holds the installed version.
        var versionFile: String
        /// The artifact is a tar archive with the version file, not the file itself.
        var isArchive: Bool

        var testDescription: String { "\(name) of \(directory.contains("mender") ? "Mender" : "this project")" }
    }

    private static let menderDirectory = "\(repositoryDirectory)/.cache/mender/usr/share/mender/modules/v3"

    static let modules: [Module] = [
        Module(
            name: "file", directory: modulesDirectory,
            install: "files = { destination = \"@ROOT@/live/version\", permissions = \"640\" }",
            versionFile: "@ROOT@/live/version", isArchive: false),
        Module(
            name: "directory", directory: modulesDirectory, install: "files = { link = \"@ROOT@/live\" }",
            versionFile: "@ROOT@/live/version", isArchive: true),
        Module(
            name: "single-file", directory: menderDirectory,
            install:
                "fileName = \"version\"\nfiles = { dest_dir = \"@ROOT@/live\", filename = \"version\", permissions = \"640\" }",
            versionFile: "@ROOT@/live/version", isArchive: false),
        Module(
            name: "directory", directory: menderDirectory,
            install: "fileName = \"update.tar\"\nfiles = { dest_dir = \"@ROOT@/live\" }",
            versionFile: "@ROOT@/live/version",
            isArchive: true),
        Module(
            name: "image", directory: modulesDirectory,
            install: """
                files = { slots = "A=@ROOT@/slots/A B=@ROOT@/slots/B", \
                bootloader = "\(repositoryDirectory)/packaging/bootloaders/file @ROOT@/boot" }
                """,
            versionFile: "@ROOT@/live/version", isArchive: false),
    ]

    private func device(_ module: Module) async throws -> InstallerDevice {
        let directory = module.directory
        try #require(Files.exists("\(directory)/\(module.name)"), "run packaging/dependencies.sh test")
        let device = try await InstallerDevice(
            install: "module = \"\(module.name)\"\nmoduleDirectories = [\"\(directory)\"]\n\(module.install)",
            versionFile: module.versionFile)
        if module.name == "image" {
            chmod(device.scratch.path, 0o755)
            for (name, text) in [("primary", "A"), ("state-A", "good"), ("state-B", "good")] {
                try device.scratch.write("boot/\(name)", "\(text)\n")
            }
            for slot in ["A", "B"] { try device.scratch.write("slots/\(slot)", "VERSION_CODE=1\n") }
            try Files.createDirectory("\(device.scratch.path)/live")
            try reboot(device)
        }
        return device
    }

    /// The bootloader starts the slot that is selected.
    private func reboot(_ device: InstallerDevice) throws {
        let slot = try device.scratch.read("boot/primary").filter { $0 != "\n" }
        try device.scratch.write("boot/current", "\(slot)\n")
        unlink("\(device.scratch.path)/live/version")
        symlink("../slots/\(slot)", "\(device.scratch.path)/live/version")
    }

    /// Installs a version, with the reboots that the module needs.
    private func install(_ device: InstallerDevice, _ job: StagedInstallJob) async throws -> InstallResult {
        var request = InstallRequest.install(job)
        // Each boot of a device has an id of its own.
        var boot = Int(job.id) * 3
        for _ in 1...4 {
            let result = await device.run(request, boot: boot).result
            switch result {
            case .needsReboot, .rebooting: try reboot(device)
            default: return result
            }
            boot += 1
            request = .resume(job.id)
        }
        return .lost("it reboots again and again")
    }

    private func job(
        _ device: InstallerDevice, _ module: Module, _ id: InstallID, version: Int, says: Int? = nil
    ) async throws -> StagedInstallJob {
        let content = "VERSION_CODE=\(says ?? version)\n"
        if module.isArchive {
            try device.scratch.write("content/version", content)
            try device.scratch.write("content/other-\(version)", "x")
            try await execute("tar", ["-cf", "artifact-\(id)", "-C", "content", "."], in: device.scratch.path)
            try Files.removeTree("\(device.scratch.path)/content")
        } else {
            try device.scratch.write("artifact-\(id)", content)
        }
        return try await device.job(id, version: version, artifact: "artifact-\(id)")
    }

    private func live(_ device: InstallerDevice) -> String? { try? device.scratch.read("live/version") }

    @Test(arguments: modules)
    func aModuleInstallsSeveralVersions(module: Module) async throws {
        let device = try await device(module)
        for version in 2...4 {
            let job = try await job(device, module, InstallID(version), version: version)
            #expect(try await install(device, job) == .committed)
            #expect(live(device) == "VERSION_CODE=\(version)\n")
            if module.isArchive {
                #expect(!device.scratch.exists("live/other-\(version - 1)"), "the old version's files are gone")
            }
        }
    }

    @Test(arguments: modules)
    func aModuleRollsBackToThePreviousVersion(module: Module) async throws {
        let device = try await device(module)
        _ = try await install(device, job(device, module, 2, version: 2))
        // The device does not report the next version.
        let bad = try await job(device, module, 3, version: 3, says: 7)
        guard case .rolledBack(let reason, _) = try await install(device, bad) else {
            Issue.record("not rolled back")
            return
        }
        #expect(reason == "it was installed, but the device still reports versionCode 7")
        #expect(live(device) == "VERSION_CODE=2\n")
        let good = try await job(device, module, 4, version: 4)
        #expect(try await install(device, good) == .committed)
        #expect(live(device) == "VERSION_CODE=4\n")
    }

    @Test(arguments: modules)
    func aFailedFirstInstallationLeavesTheDeviceUsable(module: Module) async throws {
        let device = try await device(module)
        guard
            case .rolledBack = try await install(device, job(device, module, 2, version: 2, says: 9))
        else {
            Issue.record("not rolled back")
            return
        }
        // Mender's module cannot roll back a first installation: the next version must be above what it left.
        #expect(try await install(device, job(device, module, 3, version: 10)) == .committed)
    }

    /// One of our modules that is killed at any moment leaves the old or the new version.
    @Test(arguments: modules.prefix(2), [0.02, 0.05, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3])
    func aModuleThatIsKilledAtAnyMomentLeavesAVersion(module: Module, delay: Double) async throws {
        let device = try await device(module)
        _ = await device.run(.install(try await job(device, module, 2, version: 2)))
        let job = try await job(device, module, 3, version: 3)
        let kill = [
            "-s", "KILL", "\(delay)", "\(programsDirectory)/upgradelink-installer", "--root", device.scratch.path,
        ]
        _ = await InstallerClient.Route.program("/usr/bin/timeout", arguments: kill).send(
            .install(job), timeLimit: 30)
        #expect(["VERSION_CODE=2\n", "VERSION_CODE=3\n"].contains(live(device)))
        let result = try await device.runToTheEnd(job)
        switch result {
        case .committed?: #expect(live(device) == "VERSION_CODE=3\n")
        case .rolledBack?: #expect(live(device) == "VERSION_CODE=2\n")
        default: Issue.record("\(String(describing: result))")
        }
    }

    @Test func theFileModuleKeepsTheOldFileAndItsPermissions() async throws {
        var module = Self.modules[0]
        module.install = module.install.replacing(" }", with: ", keepOld = \"yes\" }")
        let device = try await device(module)
        try device.scratch.write("live/version", "VERSION_CODE=1\n", mode: 0o644)
        _ = await device.run(.install(try await job(device, module, 2, version: 2)))
        #expect(try device.scratch.read("live/version.old") == "VERSION_CODE=1\n")
        #expect(try Files.list("\(device.scratch.path)/live") == ["version", "version.old"])
    }

    @Test func theDirectoryModuleKeepsOneOldVersion() async throws {
        let device = try await device(Self.modules[1])
        for version in 2...5 {
            _ = await device.run(.install(try await job(device, Self.modules[1], InstallID(version), version: version)))
        }
        #expect(try Files.list("\(device.scratch.path)/live.versions") == ["device-4", "device-5"])
    }

    @Test(arguments: [(0, "set install.files.destination"), (1, "set install.files.link")])
    func aModuleNamesItsMissingSettings(index: Int, remedy: String) async throws {
        let module = Self.modules[index]
        let device = try await device(module)
        try device.configure(
            install:
                "module = \"\(module.name)\"\nmoduleDirectories = [\"\(module.directory)\"]",
            versionFile: module.versionFile)
        let run = await device.run(.install(try await job(device, module, 2, version: 2)))
        #expect(run.output.contains { $0.contains(remedy) }, "\(run.output)")
        guard case .rolledBack(let reason, _) = run.result else {
            Issue.record("\(run.result)")
            return
        }
        #expect(reason.hasPrefix("\(module.name) failed in ArtifactInstall: \(module.name): no "), "\(reason)")
        #expect(reason.contains(remedy), "\(reason)")
    }
}
