import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// What every update module must do, whoever wrote it.
@Suite struct ModuleTests {
    struct Module: Sendable, CustomTestStringConvertible {
        var name: String
        var folder: String
        /// The `[install]` table.
        var install: String
        /// The file that tells the version once it is installed.
        var versionFile: String
        /// What the artifact is: the version file itself, or a tar archive with it.
        var isArchive: Bool

        var testDescription: String { "\(name) of \(folder.contains("mender") ? "Mender" : "this project")" }
    }

    static let modules: [Module] = [
        Module(
            name: "file", folder: "packaging/modules",
            install: "files = { destination = \"@BOX@/live/version\", permissions = \"640\" }",
            versionFile: "@BOX@/live/version", isArchive: false),
        Module(
            name: "directory", folder: "packaging/modules", install: "files = { link = \"@BOX@/live\" }",
            versionFile: "@BOX@/live/version", isArchive: true),
        Module(
            name: "single-file", folder: ".cache/mender/usr/share/mender/modules/v3",
            install:
                "fileName = \"version\"\nfiles = { dest_dir = \"@BOX@/live\", filename = \"version\", permissions = \"640\" }",
            versionFile: "@BOX@/live/version", isArchive: false),
        Module(
            name: "directory", folder: ".cache/mender/usr/share/mender/modules/v3",
            install: "fileName = \"update.tar\"\nfiles = { dest_dir = \"@BOX@/live\" }",
            versionFile: "@BOX@/live/version",
            isArchive: true),
    ]

    private func box(_ module: Module) async throws -> InstallerBox {
        let folder = "\(repositoryFolder)/\(module.folder)"
        try #require(Files.exists("\(folder)/\(module.name)"), "run packaging/dependencies.sh test")
        return try await InstallerBox(
            install: "module = \"\(module.name)\"\nmoduleFolders = [\"\(folder)\"]\n\(module.install)",
            versionFile: module.versionFile)
    }

    private func order(
        _ box: InstallerBox, _ module: Module, _ id: Int, version: Int, says: Int? = nil
    ) async throws -> InstallOrder {
        let content = "VERSION_CODE=\(says ?? version)\n"
        if module.isArchive {
            try box.scratch.write("content/version", content)
            try box.scratch.write("content/other-\(version)", "x")
            try await execute("tar", ["-cf", "artifact-\(id)", "-C", "content", "."], in: box.scratch.path)
            try Files.removeTree("\(box.scratch.path)/content")
        } else {
            try box.scratch.write("artifact-\(id)", content)
        }
        return try await box.order(id, version: version, artifact: "artifact-\(id)")
    }

    private func live(_ box: InstallerBox) -> String? { try? box.scratch.read("live/version") }

    @Test(arguments: modules)
    func itInstallsAndInstallsAgain(module: Module) async throws {
        let box = try await box(module)
        for version in 2...4 {
            let order = try await order(box, module, version, version: version)
            #expect(await box.run(.install(order)).result == .committed)
            #expect(live(box) == "VERSION_CODE=\(version)\n")
            if module.isArchive {
                #expect(!box.scratch.exists("live/other-\(version - 1)"), "the old version's files are gone")
            }
        }
    }

    @Test(arguments: modules)
    func itRollsBackToWhatWasThere(module: Module) async throws {
        let box = try await box(module)
        _ = await box.run(.install(try await order(box, module, 2, version: 2)))
        // The next version does not do what it should: the box does not report it.
        let bad = try await order(box, module, 3, version: 3, says: 7)
        guard case .rolledBack(let reason) = await box.run(.install(bad)).result else {
            Issue.record("not rolled back")
            return
        }
        #expect(reason == "it was installed, but the box still reports versionCode 7")
        #expect(live(box) == "VERSION_CODE=2\n")
        let good = try await order(box, module, 4, version: 4)
        #expect(await box.run(.install(good)).result == .committed)
        #expect(live(box) == "VERSION_CODE=4\n")
    }

    @Test(arguments: modules)
    func aFailureBeforeAnythingWasThereLeavesTheBoxUsable(module: Module) async throws {
        let box = try await box(module)
        guard
            case .rolledBack = await box.run(.install(try await order(box, module, 2, version: 2, says: 9))).result
        else {
            Issue.record("not rolled back")
            return
        }
        // Mender's module leaves what it installed where nothing was before: the next version is above that too.
        #expect(await box.run(.install(try await order(box, module, 3, version: 10))).result == .committed)
    }

    /// Killed at any moment of its installation, a module of ours leaves the old or the new version, never neither.
    @Test(arguments: modules.prefix(2), [0.02, 0.05, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3])
    func killedAtAnyMomentTheBoxHasAVersion(module: Module, delay: Double) async throws {
        let box = try await box(module)
        _ = await box.run(.install(try await order(box, module, 2, version: 2)))
        let order = try await order(box, module, 3, version: 3)
        let kill = ["-s", "KILL", "\(delay)", "\(programsFolder)/upgradelink-installer", "--root", box.scratch.path]
        _ = await InstallerClient.Route.program("/usr/bin/timeout", arguments: kill).send(
            .install(order), timeLimit: 30)
        #expect(["VERSION_CODE=2\n", "VERSION_CODE=3\n"].contains(live(box)))
        let result = try await box.runToTheEnd(order)
        switch result {
        case .committed?: #expect(live(box) == "VERSION_CODE=3\n")
        case .rolledBack?: #expect(live(box) == "VERSION_CODE=2\n")
        default: Issue.record("\(String(describing: result))")
        }
    }

    @Test func theFileModuleKeepsTheOldFileAndItsPermissions() async throws {
        let box = try await box(Self.modules[0])
        try box.scratch.write("live/version", "VERSION_CODE=1\n", mode: 0o644)
        _ = await box.run(.install(try await order(box, Self.modules[0], 2, version: 2)))
        #expect(try box.scratch.read("live/version.old") == "VERSION_CODE=1\n")
        #expect(try Files.list("\(box.scratch.path)/live") == ["version", "version.old"])
    }

    @Test func theDirectoryModuleKeepsOneOldVersion() async throws {
        let box = try await box(Self.modules[1])
        for version in 2...5 {
            _ = await box.run(.install(try await order(box, Self.modules[1], version, version: version)))
        }
        #expect(try Files.list("\(box.scratch.path)/live.versions") == ["box-4", "box-5"])
    }

    @Test(arguments: [(0, "set install.files.destination"), (1, "set install.files.link")])
    func aModuleWithoutItsSettingsSaysWhatIsMissing(index: Int, remedy: String) async throws {
        let module = Self.modules[index]
        let box = try await box(module)
        try box.configure(
            install: "module = \"\(module.name)\"\nmoduleFolders = [\"\(repositoryFolder)/\(module.folder)\"]",
            versionFile: module.versionFile)
        let run = await box.run(.install(try await order(box, module, 2, version: 2)))
        #expect(run.output.contains { $0.contains(remedy) }, "\(run.output)")
    }
}
