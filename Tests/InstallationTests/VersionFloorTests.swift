import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

@testable import Installation

/// The installer's own lowest version: whatever the device reports, and whatever the agent requests.
@Suite struct VersionFloorTests {
    private struct Device {
        let recorder: RecorderDevice
        var boots: Boots
        var scratch: Scratch { recorder.device.scratch }

        init() async throws {
            recorder = try await RecorderDevice(.init(name: "", reboot: "No", chain: "", result: .committed))
            boots = Boots(
                recorder.device.scratch, recorder.device.publisher, module: "recorder",
                directory: "\(recorder.device.scratch.path)/modules", fileName: "payload",
                versionFile: "\(recorder.device.scratch.path)/version")
        }

        /// Installs a version with a new id.
        func install(_ version: Int, comment: String = "", boot: String = "a") async throws -> InstallResult {
            try scratch.write("control/new-version", "VERSION_CODE=\(version)\n")
            let path = "\(scratch.path)/artifact-file"
            try await recorder.device.publisher.sign(
                path, comment: "urlKey=\(InstallerDevice.urlKey) versionCode=\(version) \(comment)")
            let job = StagedInstallJob(
                id: InstallID.random(in: 1...InstallID.max), offer: try InstallerDevice.offer(version),
                artifact: Artifact(path: path, sidecarPath: "\(path).minisig", size: 0))
            return try await boots.boot(boot, .install(job))
        }

        /// Nothing says which version is installed.
        func forgetVersion() throws { try Files.remove("\(scratch.path)/version") }

        func path(_ name: String) -> String { "\(scratch.path)/state/installer/\(name)" }

        var stored: Int? {
            let found = try? StoredFile.read(VersionFloor.self, from: path("floor.json"), limit: 1 << 20)
            return found?.value.versionCode(of: InstallerDevice.urlKey)
        }
    }

    private func isRefused(_ result: InstallResult, below floor: Int) -> Bool {
        guard case .refused(let reason, _) = result else { return false }
        return reason.contains("is below \(floor),") && reason.contains("device.appointVersionCode")
    }

    @Test func theFloorHoldsIfTheInstalledVersionIsUnknown() async throws {
        var device = try await Device()
        #expect(try await device.install(5) == .committed)
        #expect(device.stored == 5)
        try device.forgetVersion()
        #expect(isRefused(try await device.install(4), below: 5))
        // The same version again repairs the device.
        #expect(try await device.install(5) == .committed)
        // The operator can pin an older version; the floor stays.
        try device.forgetVersion()
        device.boots.settings.appointVersionCode = 4
        #expect(isRefused(try await device.install(3), below: 5))
        #expect(try await device.install(4) == .committed)
        #expect(device.stored == 5)
        device.boots.settings.appointVersionCode = nil
        try device.forgetVersion()
        #expect(isRefused(try await device.install(4), below: 5))
        #expect(try await device.install(6) == .committed)
        #expect(device.stored == 6)
    }

    /// What others can write says that an old version is installed.
    @Test func aForgedInstalledVersionDoesNotLowerTheFloor() async throws {
        let device = try await Device()
        #expect(try await device.install(5) == .committed)
        try device.scratch.write("version", "VERSION_CODE=1\n")
        #expect(isRefused(try await device.install(3), below: 5))
        #expect(try await device.install(5) == .committed)
    }

    @Test func aVersionThatIsRolledBackDoesNotRaiseTheFloor() async throws {
        let device = try await Device()
        #expect(try await device.install(2) == .committed)
        try device.scratch.write("control/fail-ArtifactCommit", "")
        guard case .rolledBack = try await device.install(9, comment: "minVersionCode=12") else {
            Issue.record("not rolled back")
            return
        }
        #expect(device.stored == 2)
        try Files.remove("\(device.scratch.path)/control/fail-ArtifactCommit")
        #expect(try await device.install(3) == .committed)
    }

    /// A publisher revokes versions that were signed before.
    @Test func theSignatureCanRaiseTheFloor() async throws {
        let device = try await Device()
        #expect(try await device.install(5, comment: "minVersionCode=3") == .committed)
        #expect(device.stored == 5)
        #expect(try await device.install(6, comment: "minVersionCode=9") == .committed)
        #expect(device.stored == 9)
        #expect(isRefused(try await device.install(8), below: 9))
        #expect(try await device.install(9) == .committed)
        #expect(device.stored == 9)
    }

    @Test(arguments: ["0", "-1", "x", "", "9 minVersionCode=10", "99999999999999999999"])
    func aSenselessMinimumIsRefused(text: String) async throws {
        let device = try await Device()
        guard case .refused(let reason, _) = try await device.install(5, comment: "minVersionCode=\(text)") else {
            Issue.record("installed")
            return
        }
        #expect(reason.contains("its trusted comment"), "\(reason)")
    }

    // MARK: lost and damaged copies

    @Test(
        arguments: ["floor.json", "installation.json"],
        [nil, "", "{", "{}", "[]", #"{"floors":[{"urlKey":"device","versionCode":1}]}"#, #"{"floors":7}"#])
    func oneLostCopyDoesNotLowerTheFloor(name: String, content: String?) async throws {
        let device = try await Device()
        #expect(try await device.install(5) == .committed)
        try device.forgetVersion()
        if let content {
            try Files.replace(device.path(name), with: Array(content.utf8))
        } else {
            try Files.remove(device.path(name))
        }
        #expect(isRefused(try await device.install(4), below: 5))
        #expect(try await device.install(5) == .committed)
        #expect(device.stored == 5, "it is stored again")
        // The other copy is as good.
        try device.forgetVersion()
        try Files.remove(device.path(name == "floor.json" ? "installation.json" : "floor.json"))
        #expect(isRefused(try await device.install(4), below: 5))
    }

    /// A damaged file does not block updates for ever.
    @Test func withoutAnyCopyTheNextCommitStartsAgain() async throws {
        let device = try await Device()
        #expect(try await device.install(5) == .committed)
        for name in ["floor.json", "installation.json"] { try Files.replace(device.path(name), with: [0x7B]) }
        #expect(try await device.install(6) == .committed)
        #expect(device.stored == 6)
    }

    /// The record of a release without a floor has a commit.
    @Test func theFloorStartsAtACommitOfAnEarlierRelease() async throws {
        let device = try await Device()
        #expect(try await device.install(5) == .committed)
        try Files.remove(device.path("floor.json"))
        let path = device.path("installation.json")
        var record = try #require(try StoredFile.read(InstallRecord.self, from: path, limit: 1 << 20)?.value)
        record.floor = VersionFloor()
        try StoredFile.write(record, to: path, limit: 1 << 20)
        try device.forgetVersion()
        #expect(isRefused(try await device.install(4), below: 5))
    }

    /// The power fails after the mark of the commit, or the record is lost then: the mark has the floor.
    @Test(arguments: [true, false]) func theMarkOfACommitHasTheFloor(hasRecord: Bool) async throws {
        let device = try await Device()
        #expect(try await device.install(2) == .committed)
        // An installer that was killed in Cleanup.
        try device.scratch.write("modules/killed", "", mode: 0o755)
        try device.scratch.write("state/installer/tree/header/payload_type", "recorder")
        let floor = #"{"floors":[{"urlKey":"device","versionCode":7}],"format":2}"#
        try device.scratch.write("state/installer/tree/committed", floor)
        try Files.remove(device.path("floor.json"))
        if !hasRecord { try Files.remove(device.path("installation.json")) }
        try device.forgetVersion()
        #expect(isRefused(try await device.install(6), below: 7))
        #expect(try await device.install(7) == .committed)
        #expect(device.stored == 7)
    }

    // MARK: the same versions again and again

    /// A file that others can write to always says that an older version is installed. Commits that bring nothing new are
    /// counted, and only a higher version or root resets the count.
    @Test func aRepeatedVersionIsBlocked() async throws {
        let device = try await Device()
        #expect(try await device.install(5) == .committed)
        for _ in 1...3 {
            try device.scratch.write("version", "VERSION_CODE=1\n")
            #expect(try await device.install(5) == .committed)
        }
        try device.scratch.write("version", "VERSION_CODE=1\n")
        guard case .failed(let reason, _) = try await device.install(5) else {
            Issue.record("installed again")
            return
        }
        #expect(
            reason.hasPrefix("versionCode 5 is blocked after 3 failed or repeated installations; a newer version"),
            "\(reason)")
        #expect(try await device.boots.boot("a", .forgetAttempts(versionCode: 5), isRoot: true) == .unknown)
        #expect(try await device.install(5) == .committed)
        #expect(try await device.install(6) == .committed)
    }

    @Test func aPinnedVersionIsInstalledOnce() async throws {
        var device = try await Device()
        #expect(try await device.install(5) == .committed)
        device.boots.settings.appointVersionCode = 4
        #expect(try await device.install(4) == .committed)
        func expectRefusal(of version: Int, _ words: String) async throws {
            guard case .refused(let reason, _) = try await device.install(version) else {
                Issue.record("version \(version) is installed")
                return
            }
            #expect(reason.contains(words), "\(reason)")
        }
        try await expectRefusal(of: 4, "is not above the installed 4")
        for version in [5, 6] { try await expectRefusal(of: version, "is above 4, to which device.appointVersionCode") }
        // Without the pin, the device returns to the versions that it had.
        device.boots.settings.appointVersionCode = nil
        #expect(try await device.install(5) == .committed)
        try await expectRefusal(of: 5, "is not above the installed 5")
        #expect(try await device.install(6) == .committed)
    }

    // MARK: a failing disk

    /// The module fills the disk while it commits: the commit is stored once there is space, and not rolled back.
    @Test(.enabled(if: getuid() == 0, "mounting a small file system needs root"))
    func aFullDiskDoesNotLoseTheCommit() async throws {
        let device = try await Device()
        try await device.scratch.withSmallFileSystem("state", size: "1m") { state in
            try device.scratch.write(
                "modules/recorder",
                try device.scratch.read("modules/recorder")
                    + "\n[ \"$1\" != ArtifactCommit ] || cat /dev/zero >\(state)/ballast || true\n", mode: 0o755)
            var failure: (any Error)?
            do { _ = try await device.install(2) } catch { failure = error }
            #expect("\(String(describing: failure))".contains("No space left"), "\(String(describing: failure))")
            unlink("\(state)/ballast")
            // After the power cut that may follow.
            #expect(try await device.boots.start("b") == .committed)
            #expect(device.stored == 2)
            #expect(try device.scratch.read("version") == "VERSION_CODE=2\n")
            #expect(try !device.scratch.read("control/log").contains("Rollback"))
        }
    }

    /// A disk that fails for a moment only delays the commit.
    @Test(.enabled(if: getuid() == 0, "mounting a small file system needs root"))
    func aMomentaryErrorIsRepeated() async throws {
        let device = try await Device()
        try await device.scratch.withSmallFileSystem("state", size: "1m") { state in
            try device.scratch.write(
                "modules/recorder",
                try device.scratch.read("modules/recorder") + """

                    if [ "$1" = ArtifactCommit ]; then
                        cat /dev/zero >\(state)/ballast
                        (sleep 1; rm \(state)/ballast) >/dev/null 2>&1 &
                    fi
                    exit 0

                    """, mode: 0o755)
            #expect(try await device.install(2) == .committed)
            #expect(device.stored == 2)
        }
    }
}

/// A damaged file of the installer cannot end it, whatever its numbers are.
@Suite struct DamagedNumberTests {
    @Test func countsAreBounded() throws {
        let most = Int.max
        let text =
            #"{"versions":[{"versionCode":2,"attempts":\#(most),"reboots":\#(most),"resets":-5},{"versionCode":3}]}"#
        var attempts = try StoredFile.decode(InstallAttempts.self, from: Array(text.utf8)).value
        attempts.countAttempt(at: 2)
        attempts.countReboot(into: 2)
        #expect(attempts.versions.map(\.attempts) == [InstallAttempts.maximumCount, 0])
        #expect(attempts.versions.map(\.resets) == [0, 0])
    }

    @Test func aRecordIsBounded() throws {
        let job = InstallJob(id: 1, offer: try InstallerDevice.offer(2), sidecar: nil)
        var record = InstallRecord(job: job, bootID: "a")
        (record.interruptions, record.rollbackReboots) = (.max, .max)
        record.failure = String(repeating: "x", count: 100_000)
        var read = try StoredFile.decode(InstallRecord.self, from: StoredFile.encode(record)).value
        #expect((read.failure ?? "").count == InstallRecord.reasonLimit)
        read.resume(bootID: "b")
        read.step = .module(.verifyRollbackReboot)
        read.advance(.failed(String(repeating: "y", count: 100_000)))
        #expect(read.isBroken)
        var other = InstallRecord(job: job, bootID: "a")
        other.advance(.failed(String(repeating: "y", count: 100_000)))
        #expect(try StoredFile.encode(other).count < 10_000)
    }
}
