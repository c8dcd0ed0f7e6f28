import Host
import TestSupport
import Testing
import UpdateCore

@testable import Installation

/// The installer counts the attempts at each version itself: an agent that has lost its state causes no loop of reboots.
@Suite struct AttemptCountTests {
    private typealias Recorded = RebootTests.Recorded

    private func record(_ boots: Recorded) -> String { "\(boots.scratch.path)/state/installer/installation.json" }

    /// One whole installation of a version that fails after its reboot, requested by an agent that has lost its state.
    private func failingInstallation(_ boots: Recorded, _ id: InstallID) async throws -> InstallResult? {
        let job = try await boots.recorder.device.job(id, version: 2, artifact: "artifact-file")
        var result: InstallResult? = try await boots.boot("\(id)a", .install(job))
        guard result == .needsReboot(isRollback: false) else { return result }
        result = try await boots.boot("\(id)a", .reboot(id))
        #expect(result == .rebooting)
        result = try await boots.start("\(id)b")
        #expect(result == .rebooting)
        return try await boots.start("\(id)c")
    }

    private func reboots(_ boots: Recorded) throws -> Int {
        try boots.chain.split(separator: " ").count { $0 == "VerifyReboot" }
    }

    /// - Parameter lost: the files that are removed or damaged before each new attempt.
    @Test(arguments: [
        [], ["attempts.json"], ["installation.json"], ["attempts.json garbled"], ["installation.json garbled"],
    ])
    func aVersionThatFailsRebootsTheDeviceThreeTimesAtMost(lost: [String]) async throws {
        for attempts in [3, 100] {
            var boots = try await Recorded(fails: "ArtifactVerifyReboot")
            boots.boots.settings.attempts = attempts
            var last: InstallResult?
            for id in 1...6 as ClosedRange<InstallID> {
                last = try await failingInstallation(boots, id)
                for name in lost {
                    let words = name.split(separator: " ")
                    let path = "\(boots.scratch.path)/state/installer/\(words[0])"
                    if words.count > 1 { try Files.replace(path, with: [0x7B]) } else { try Files.remove(path) }
                }
            }
            #expect(try reboots(boots) == 3)
            guard case .failed(let reason, _)? = last else {
                Issue.record("\(String(describing: last))")
                return
            }
            #expect(reason.hasPrefix("versionCode 2 is blocked after 3 "), "\(reason)")
            #expect(reason.contains("upgradelinkctl retry 2"))
            // A newer version has its own count.
            let next = try await boots.recorder.device.job(7, version: 3, artifact: "artifact-file")
            #expect(try await boots.boot("7", .install(next)) == .needsReboot(isRollback: false))
        }
    }

    @Test func anOperatorsRetryResetsTheCount() async throws {
        let boots = try await Recorded(fails: "ArtifactVerifyReboot")
        for id in 1...4 as ClosedRange<InstallID> { _ = try await failingInstallation(boots, id) }
        #expect(try reboots(boots) == 3)
        #expect(try await boots.boot("x", .forgetAttempts(versionCode: 2)) == .unknown)
        guard case .rolledBack? = try await failingInstallation(boots, 5) else {
            Issue.record("it is not tried again")
            return
        }
        #expect(try reboots(boots) == 4)
    }

    /// An agent that has been taken over cannot reboot the device for ever: it gets three resets, root as many as it wants.
    @Test func theAgentCanResetTheCountThreeTimesAndRootAlways() async throws {
        let boots = try await Recorded(fails: "ArtifactVerifyReboot")
        var id: InstallID = 0
        func blocked() async throws -> String {
            while true {
                id += 1
                if case .failed(let reason, _)? = try await failingInstallation(boots, id) { return reason }
                #expect(id < 40)
            }
        }
        for _ in 1...3 {
            #expect(try await blocked().hasSuffix("upgradelinkctl retry 2"))
            #expect(try await boots.boot("x", .forgetAttempts(versionCode: 2)) == .unknown)
            // Nothing is counted if there is nothing to reset.
            for _ in 1...5 { #expect(try await boots.boot("x", .forgetAttempts(versionCode: 2)) == .unknown) }
        }
        #expect(try await blocked().hasSuffix("upgradelinkctl retry 2 as root"))
        #expect(try reboots(boots) == 12)
        // Losing one of the two copies does not help.
        for name in ["attempts.json", "installation.json"] {
            try Files.remove("\(boots.scratch.path)/state/installer/\(name)")
            guard case .refused(let reason, _) = try await boots.boot("x", .forgetAttempts(versionCode: 2)) else {
                Issue.record("a fourth reset")
                return
            }
            #expect(reason.contains("run upgradelinkctl retry 2 as root"), "\(reason)")
            _ = try await blocked()
        }
        #expect(try reboots(boots) == 12)
        for _ in 1...4 {
            #expect(try await boots.boot("x", .forgetAttempts(versionCode: 2), isRoot: true) == .unknown)
            _ = try await blocked()
        }
        #expect(try reboots(boots) == 24)
    }

    /// The commit of a version resets its count.
    @Test func aCommitResetsTheCount() async throws {
        let boots = try await Recorded(fails: "ArtifactVerifyReboot")
        for id in 1...2 as ClosedRange<InstallID> { _ = try await failingInstallation(boots, id) }
        try Files.remove("\(boots.scratch.path)/control/fail-ArtifactVerifyReboot")
        let job = try await boots.recorder.device.job(3, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("3a", .install(job)) == .needsReboot(isRollback: false))
        #expect(try await boots.start("3b") == .committed)
        let stored = try StoredFile.read(
            InstallAttempts.self, from: "\(boots.scratch.path)/state/installer/attempts.json", limit: 1 << 20)
        #expect(stored?.value.versions == [])
    }

    /// The installer was interrupted before the module began, and the agent repeats the request: nothing of what was checked then
    /// need be true any more.
    @Test func aRepeatedRequestIsCheckedAgain() async throws {
        let boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        let sidecar = try boots.scratch.read("artifact-file.minisig")
        let interrupted = InstallRecord(job: InstallJob(id: 1, offer: job.offer, sidecar: sidecar), bootID: "a")
        func repeated() async throws -> InstallResult {
            try Files.createDirectory("\(boots.scratch.path)/state/installer")
            try StoredFile.write(interrupted, to: record(boots), limit: 1 << 20)
            return try await boots.boot("b", .install(job))
        }
        try boots.scratch.write(
            "state/installer/attempts.json", #"{"format":2,"versions":[{"attempts":3,"reboots":0,"versionCode":2}]}"#)
        guard case .failed(let blocked, _) = try await repeated() else {
            Issue.record("the count is not checked")
            return
        }
        #expect(blocked.hasPrefix("versionCode 2 is blocked after 3 "), "\(blocked)")
        #expect(try await boots.boot("b", .forgetAttempts(versionCode: 2), isRoot: true) == .unknown)
        try boots.scratch.write("version", "VERSION_CODE=2\n")
        guard case .refused(let refused, _) = try await repeated() else {
            Issue.record("the installed version is not checked")
            return
        }
        #expect(refused.contains("is not above the installed 2"), "\(refused)")
        try boots.scratch.write("version", "VERSION_CODE=1\n")
        #expect(try await repeated() == .needsReboot(isRollback: false))
        #expect(try boots.chain == "Download Install")
    }

    /// A request that is refused before the installation begins is not counted.
    @Test func aRefusedRequestIsNotCounted() async throws {
        let boots = try await Recorded()
        for id in 1...5 as ClosedRange<InstallID> {
            var job = try await boots.recorder.device.job(id, version: 2, artifact: "artifact-file")
            job.offer = try InstallerDevice.offer(9)
            guard case .refused = try await boots.boot("a", .install(job)) else {
                Issue.record("a forged file is installed")
                return
            }
        }
        #expect(!boots.scratch.exists("state/installer/attempts.json"))
    }

    /// 0.1.0 stored a record without a count on the way: the count that is in the other file stays.
    @Test func aRecordWithoutACountDoesNotResetIt() async throws {
        let boots = try await Recorded(fails: "ArtifactVerifyReboot")
        for id in 1...2 as ClosedRange<InstallID> { _ = try await failingInstallation(boots, id) }
        let job = try await boots.recorder.device.job(3, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("3a", .install(job)) == .needsReboot(isRollback: false))
        var found = try #require(try StoredFile.read(InstallRecord.self, from: record(boots), limit: 1 << 20)?.value)
        found.attempts = InstallAttempts()
        try StoredFile.write(found, to: record(boots), limit: 1 << 20)
        #expect(try await boots.start("3b") == .rebooting)
        let stored = try StoredFile.read(
            InstallAttempts.self, from: "\(boots.scratch.path)/state/installer/attempts.json", limit: 1 << 20)
        #expect(stored?.value.versions.map(\.attempts) == [3] && stored?.value.versions.map(\.reboots) == [3])
    }

    /// Both copies of the count are lost: the installation that is rolled back counts at least.
    @Test func anInstallationWithoutARecordIsCounted() async throws {
        let boots = try await Recorded()
        let job = try await boots.recorder.device.job(1, version: 2, artifact: "artifact-file")
        #expect(try await boots.boot("a", .install(job)) == .needsReboot(isRollback: false))
        for name in ["attempts.json", "installation.json"] {
            try Files.remove("\(boots.scratch.path)/state/installer/\(name)")
        }
        #expect(try await boots.start("b") == .rebooting)
        let stored = try StoredFile.read(
            InstallAttempts.self, from: "\(boots.scratch.path)/state/installer/attempts.json", limit: 1 << 20)
        #expect(stored?.value.versions.map(\.attempts) == [1])
    }

    /// A taken-over agent has many signed versions that fail.
    @Test func allVersionsTogetherHaveALimit() throws {
        var attempts = InstallAttempts()
        for version in 1...InstallAttempts.maximumTotal {
            #expect(attempts.refusal(of: version, limit: 3) == nil)
            attempts.countAttempt(at: version)
        }
        // The other copy is lost.
        attempts = InstallAttempts().merged(
            with: try StoredFile.decode(InstallAttempts.self, from: StoredFile.encode(attempts)).value)
        #expect(attempts.refusal(of: 1000, limit: 3)?.hasSuffix("run upgradelinkctl retry 1000 as root") == true)
        #expect(attempts.reset(InstallAttempts.maximumTotal) == nil)
        #expect(attempts.refusal(of: 1000, limit: 3) != nil, "the agent does not reset it")
        attempts.forget(retried: 1000)
        #expect(attempts.refusal(of: 1000, limit: 3) == nil)
    }

    @Test func aBlockedVersionIsNotForgotten() {
        var attempts = InstallAttempts()
        for _ in 1...3 { attempts.countAttempt(at: 2) }
        for version in 100..<130 { attempts.countAttempt(at: version) }
        #expect(attempts.refusal(of: 2, limit: 3)?.hasPrefix("versionCode 2 is blocked after 3 ") == true)
    }
}
