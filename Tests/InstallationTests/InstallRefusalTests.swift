import Host
import Testing
import UpdateCore

@testable import Installation

/// Which versions the installer begins to install at all, at each limit.
@Suite struct InstallRefusalTests {
    private func settings(pinned: Int? = nil) -> InstallSettings {
        InstallSettings(
            module: "m", moduleDirectories: [], fileName: "artifact", files: [:], metaData: "{}", timeout: 60,
            timeouts: [:], rebootCommand: [], urlKey: "k", appointVersionCode: pinned, devModelKey: nil)
    }

    private func refusal(
        of version: Int, installed: Int?, floor: Int = 0, pinned: Int? = nil, urlKey: String = "k",
        id: InstallID = 1, sidecar: String? = nil
    ) -> ReasonCode? {
        var floors = VersionFloor()
        if floor > 0 { floors.raise("k", to: floor) }
        let job = InstallJob(
            id: id, offer: Offer(file: "/f", urlKey: urlKey, versionCode: version), sidecar: sidecar)
        let version = installed.map { InstalledVersion.known(versionCode: $0, versionName: nil) } ?? .unknown("x")
        return job.refusal(settings(pinned: pinned), installed: version, floors)?.code
    }

    @Test func onlyANewerVersionIsInstalled() {
        #expect(refusal(of: 6, installed: 5) == nil)
        #expect(refusal(of: 5, installed: 5) == .notNewer)
        #expect(refusal(of: 4, installed: 5) == .notNewer)
        #expect(refusal(of: 1, installed: nil) == nil)
    }

    @Test func theFloorIsTheLowestVersion() {
        for installed in [nil, 1] {
            #expect(refusal(of: 7, installed: installed, floor: 7) == nil)
            #expect(refusal(of: 8, installed: installed, floor: 7) == nil)
            #expect(refusal(of: 6, installed: installed, floor: 7) == .belowFloor)
        }
        #expect(refusal(of: 6, installed: 1, floor: 7, urlKey: "other") == .offerForeign)
    }

    /// `device.appointVersionCode` permits exactly one older version.
    @Test func thePinnedVersionIsTheOnlyOlderOne() {
        #expect(refusal(of: 3, installed: 5, floor: 5, pinned: 3) == nil)
        #expect(refusal(of: 3, installed: nil, floor: 5, pinned: 3) == nil)
        #expect(refusal(of: 2, installed: 5, pinned: 3) == .notNewer)
        #expect(refusal(of: 2, installed: 5, floor: 5, pinned: 3) == .belowFloor)
        #expect(refusal(of: 3, installed: 3, pinned: 3) == .notNewer)
        #expect(refusal(of: 3, installed: 2, pinned: 3) == nil)
        // What is between may be installed on the way, and nothing above.
        #expect(refusal(of: 2, installed: 1, pinned: 3) == nil)
        #expect(refusal(of: 4, installed: 1, pinned: 3) == .abovePin)
        #expect(refusal(of: 4, installed: nil, pinned: 3) == .abovePin)
    }

    @Test func anIDThatMeansALostRecordIsRefused() {
        #expect(refusal(of: 2, installed: 1, id: InstallJob.unknownID) == .jobInvalid)
        #expect(refusal(of: 2, installed: 1, id: -1) == nil)
    }

    @Test func aSignatureFileHasALimit() {
        func text(_ count: Int) -> String { String(repeating: "é", count: count / 2) }
        #expect(refusal(of: 2, installed: 1, sidecar: text(maximumSidecarBytes)) == nil)
        #expect(refusal(of: 2, installed: 1, sidecar: text(maximumSidecarBytes) + "x") == .jobInvalid)
    }

    /// An agent that knows only this id of a lost record gets its result.
    @Test func aRequestIsForItsOwnInstallation() {
        let offer = Offer(file: "/f", urlKey: "k", versionCode: 2)
        let job = InstallJob(id: 7, offer: offer, sidecar: nil)
        #expect(job.hasID(7) && !job.hasID(8) && !job.hasID(InstallJob.unknownID))
        let lost = InstallJob(id: InstallJob.unknownID, offer: offer, sidecar: nil)
        #expect(lost.hasID(8) && lost.hasID(InstallJob.unknownID))
    }

    // MARK: the floor itself

    @Test func theFloorRisesAndNeverFalls() {
        var floor = VersionFloor()
        #expect(floor.versionCode(of: "k") == 0)
        for (version, expected) in [(5, 5), (3, 5), (5, 5), (6, 6)] {
            floor.raise("k", to: version)
            #expect(floor.versionCode(of: "k") == expected && floor.versionCode(of: "other") == 0)
        }
        var other = VersionFloor()
        other.raise("k", to: 4)
        other.raise("other", to: 9)
        for merged in [floor.merged(with: other), other.merged(with: floor)] {
            #expect(merged.versionCode(of: "k") == 6 && merged.versionCode(of: "other") == 9)
        }
    }

    @Test func sixteenApplicationsHaveAFloor() throws {
        var floor = VersionFloor()
        for number in 1...16 { floor.raise("k\(number)", to: number) }
        #expect(floor.versionCode(of: "k1") == 1 && floor.versionCode(of: "k16") == 16)
        floor.raise("k17", to: 17)
        #expect(floor.versionCode(of: "k1") == 0 && floor.versionCode(of: "k2") == 2)
        #expect(floor.versionCode(of: "k17") == 17)
        #expect(try StoredFile.decode(VersionFloor.self, from: StoredFile.encode(floor)).value == floor)
    }

    @Test func aStoredFloorIsNotNegative() throws {
        let text = #"{"floors":[{"urlKey":"a","versionCode":-5},{"urlKey":"b","versionCode":5},{"urlKey":"c"}]}"#
        let floor = try StoredFile.decode(VersionFloor.self, from: Array(text.utf8)).value
        #expect(floor.floors.map(\.versionCode) == [0, 5])
        let many = (1...20).map { "{\"urlKey\":\"k\($0)\",\"versionCode\":\($0)}" }.joined(separator: ",")
        let kept = try StoredFile.decode(VersionFloor.self, from: Array("{\"floors\":[\(many)]}".utf8)).value
        #expect(kept.floors.map(\.versionCode) == Array(5...20))
    }

    @Test func theCommitRaisesTheFloorToTheHigherOfVersionAndSignature() {
        let offer = Offer(file: "/f", urlKey: "k", versionCode: 5)
        var record = InstallRecord(job: InstallJob(id: 1, offer: offer, sidecar: nil), bootID: "a")
        for (minimum, floor) in [(nil, 5), (4, 5), (5, 5), (6, 6)] as [(Int?, Int)] {
            record.minVersionCode = minimum
            #expect(record.floorAfterCommit.versionCode(of: "k") == floor)
        }
        record.floor.raise("k", to: 9)
        #expect(record.floorAfterCommit.versionCode(of: "k") == 9)
    }
}
