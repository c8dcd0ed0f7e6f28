import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

@testable import Installation

/// The installer says what disk space an installation will need.
@Suite struct SpaceQueryTests {
    private func needs(_ device: InstallerDevice) async -> [SpaceNeed]? {
        let (reports, result) = await InstallerClient.Route.program(
            "\(programsDirectory)/upgradelink-installer", arguments: ["--root", device.scratch.path]
        ).send(.space, timeLimit: 60)
        #expect(result == .unknown)
        // Nothing stays behind.
        let left = (try? Files.list("\(device.scratch.path)/state/installer")) ?? []
        #expect(!left.contains { $0.hasPrefix("space") }, "\(left)")
        for case .space(let needs) in reports { return needs }
        return nil
    }

    private func device(_ install: String, modules: String = modulesDirectory) async throws -> InstallerDevice {
        let device = try await InstallerDevice(install: "moduleDirectories = [\"\(modules)\"]\n\(install)")
        for name in ["staging", "live"] { try Files.createDirectory("\(device.scratch.path)/\(name)", mode: 0o755) }
        chmod(device.scratch.path, 0o755)
        return device
    }

    private static let adopts = (try? Directory("/tmp"))?.handle.hasReliableLeases == true

    /// A module that does not know the query is assumed to keep a copy.
    @Test func aModuleThatDoesNotKnowTheQuery() async throws {
        let device = try await RecorderDevice(
            ProtocolTests.Row(name: "", chain: "", result: .committed)
        ).device
        try Files.createDirectory("\(device.scratch.path)/staging")
        let directory = "\(device.scratch.path)/state/installer"
        let copies = Self.adopts ? 1 : 2
        #expect(await needs(device) == Array(repeating: SpaceNeed(directory: directory, percent: 100), count: copies))
        #expect(!device.scratch.exists("control/log"))
    }

    /// A module declares that it knows the query, and may take several lines.
    @Test func aModuleThatKnowsTheQueryIsAsked() async throws {
        let device = try await device("module = \"own\"", modules: "@ROOT@/modules")
        let script = "#!/bin/sh\n[ \"$1\" != NeedsSpace ] || printf '/ 50 0\\nnonsense\\n/tmp 0 4096\\n'\n"
        try device.scratch.write("modules/own", script, mode: 0o755)
        let copy = Self.adopts ? [] : [SpaceNeed(directory: "\(device.scratch.path)/state/installer", percent: 100)]
        let assumed = SpaceNeed(directory: "\(device.scratch.path)/state/installer", percent: 100)
        #expect(await needs(device) == [assumed] + copy)
        try device.scratch.write("modules/own.space", "")
        #expect(
            await needs(device) == [
                SpaceNeed(directory: "/", percent: 50), SpaceNeed(directory: "/tmp", percent: 0, bytes: 4096),
            ] + copy)
    }

    @Test(.enabled(if: getuid() == 0 && adopts, "mounting needs root, and /tmp reliable leases"))
    func eachModuleNamesItsFileSystems() async throws {
        let file = try await device("files = { destination = \"@ROOT@/live/app\" }")
        let live = "\(file.scratch.path)/live"
        #expect(await needs(file) == [])
        // Another user's file cannot be kept by a second name.
        try file.scratch.write("live/app", "old file")
        #expect(await needs(file) == [])
        chown("\(live)/app", 65534, 65534)
        #expect(await needs(file) == [SpaceNeed(directory: live, percent: 0, bytes: 8)])
        try await file.scratch.withSmallFileSystem("live", size: "1m") { live in
            chmod(live, 0o755)
            #expect(await needs(file) == [SpaceNeed(directory: live, percent: 100)])
        }
        // The download cannot be taken over from another file system.
        try await file.scratch.withSmallFileSystem("staging", size: "1m") { _ in
            chown("\(live)/app", 0, 0)
            let directory = "\(file.scratch.path)/state/installer"
            #expect(await needs(file) == [SpaceNeed(directory: directory, percent: 100)])
        }
        let archive = try await device("module = \"directory\"\nfiles = { link = \"@ROOT@/live/app\" }")
        #expect(await needs(archive) == [SpaceNeed(directory: "\(archive.scratch.path)/live", percent: 100)])
    }

    /// The question does not wait for an installation.
    @Test func aRunningInstallationDoesNotDelayTheAnswer() async throws {
        let device = try await RecorderDevice(
            ProtocolTests.Row(name: "", reboot: "No", chain: "", result: .committed)
        ).device
        try device.scratch.write("control/wait-ArtifactInstall", "")
        let job = try await device.job(1, version: 2, artifact: "artifact-file")
        async let run = device.run(.install(job))
        #expect(
            await eventually { (try? device.scratch.read("control/log"))?.contains("ArtifactInstall") == true })
        #expect(await needs(device) != nil)
        unlink("\(device.scratch.path)/control/wait-ArtifactInstall")
        #expect(await run.result == .committed)
    }

    /// A query that was killed leaves its tree; a later one removes it, but not that of one that runs.
    @Test func theTreeOfAKilledQueryIsRemoved() async throws {
        let device = try await device("module = \"absent\"")
        let directory = "\(device.scratch.path)/state/installer"
        for name in ["space.old", "space.new"] { try Files.createDirectory("\(directory)/\(name)/files") }
        var times = [timespec(tv_sec: 1_000_000_000, tv_nsec: 0), timespec(tv_sec: 1_000_000_000, tv_nsec: 0)]
        #expect(utimensat(AT_FDCWD, "\(directory)/space.old", &times, 0) == 0)
        _ = await InstallerClient.Route.program(
            "\(programsDirectory)/upgradelink-installer", arguments: ["--root", device.scratch.path]
        ).send(.space, timeLimit: 60)
        #expect(try Files.list(directory).filter { $0.hasPrefix("space") } == ["space.new"])
    }

    @Test func aMissingModuleHasNoAnswer() async throws {
        let device = try await device("module = \"absent\"")
        #expect(await needs(device) == nil)
    }
}
