import Testing

@testable import UpdateCore

@Suite struct WorkTests {
    // MARK: policy

    @Test(arguments: [2, 3])
    func silentAndForcedAreDownloadedAndInstalledAtOnce(type: Int) {
        var world = offered(type)
        #expect(world.downloads)
        #expect(world.effects.contains { if case .emptyInbox = $0 { true } else { false } })
        world.download()
        #expect(world.installs)
        world.installed = .known(versionCode: 2, versionName: "v2")
        world.finishInstall(.committed)
        #expect(world.notices == [.committed(World.offer(2, type))])
        #expect(world.state.work == nil)
        #expect(world.effects.contains(.cleanStaging(keep: nil)))
    }

    @Test func forcedIsFlaggedAsForced() {
        var world = offered(3)
        world.download()
        #expect(world.notices.map(\.message).contains("Installing v2 (code 2), forced"))
        #expect(
            statusText(world.state, world.context, phase: "ArtifactInstall")
                == "Installing v2 (forced): ArtifactInstall")
    }

    @Test(arguments: [1, 0, 7])
    func promptAndUnknownWaitForConsent(type: Int) {
        var world = offered(type)
        #expect(world.notices.contains(.unknownUpgradeType(World.offer(2, type))) == (type != 1))
        world.download()
        #expect(!world.installs)
        #expect(world.state.work?.step == .consent)
        #expect(statusText(world.state, world.context) == "Waiting for consent to install v2 (code 2)")
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(world.installs)
    }

    @Test func consentMayComeBeforeTheDownloadIsDone() {
        var world = offered(1)
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(!world.installs)
        world.download()
        #expect(world.installs)
    }

    @Test func consentMayComeBeforeTheDownloadBegins() {
        var world = offered(1) { $0.policy.downloadBeforeConsent = false }
        #expect(!world.downloads)
        #expect(world.state.work?.step == .consent)
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(world.downloads)
        world.download()
        #expect(world.installs)
    }

    @Test func aConsentToAnotherVersionIsIgnored() {
        var world = offered(1)
        world.download()
        world.handle(.command(.accept(versionCode: 3, .now)))
        #expect(!world.installs)
    }

    @Test func aRejectedVersionIsRefusedButANewerOneIsAccepted() {
        var world = offered(1)
        world.download()
        world.handle(.command(.reject(versionCode: 2)))
        #expect(world.state.work == nil)
        world.poll()
        world.respond(.offer(World.offer(2, 1)))
        #expect(world.notices == [.offerRefused(.rejected(versionCode: 2))])
        world.poll()
        world.respond(.offer(World.offer(3, 1)))
        #expect(world.downloads)
    }

    // MARK: polls while an offer exists

    @Test func thereIsNoPollWhileAnOfferIsInProgress() {
        var world = offered(2)
        world.now = world.now + 1e6
        world.handle(.tick)
        #expect(!world.checks)
        world.download()
        world.now = world.now + 1e6
        world.handle(.tick)
        #expect(!world.checks)
    }

    @Test func whileAnOfferWaitsForConsentThereIsAtMostOnePollADay() {
        var world = offered(1)
        world.download()
        let start = world.now
        var polls = 0
        while world.now - start < 10 * 86_400 {
            world.poll()
            polls += 1
            world.respond(polls % 2 == 0 ? .latest : .transientError(.rateLimited(retryAfter: 1)))
        }
        #expect((8...12).contains(polls))
        #expect(world.state.work?.step == .consent)
    }

    @Test func aNewerOfferReplacesAWaitingOne() {
        var world = offered(1)
        world.download()
        world.poll()
        world.respond(.offer(World.offer(3, 1)))
        #expect(world.notices.contains(.offerReplaced(World.offer(2, 1), by: World.offer(3, 1))))
        #expect(world.effects.contains(.download(World.offer(3, 1))))
        #expect(world.effects.contains(.cleanStaging(keep: 3)))
    }

    @Test func theSameOfferUpdatesAWaitingOne() {
        var world = offered(1)
        world.download()
        world.poll()
        world.respond(.offer(World.offer(2, 2)))
        #expect(world.installs, "it is silent now, so no consent is needed")
    }

    @Test func theSameVersionFromAnotherURLIsDownloadedAgain() {
        var world = offered(1)
        world.download()
        world.poll()
        world.respond(.offer(World.offer(2, 1, url: "http://mirror.example/")))
        #expect(world.downloads)
    }

    @Test func anOlderOfferDoesNotReplaceAWaitingOne() {
        var world = offered(1, 5)
        world.download(5)
        world.poll()
        world.respond(.offer(World.offer(4, 2)))
        #expect(world.state.work?.offer.versionCode == 5)
    }

    // MARK: installations

    @Test func aFailedInstallationIsTriedThreeTimesWithAnIDEach() {
        var world = offered(2)
        world.download()
        var ids: Set<InstallID> = []
        for attempt in 1...3 {
            ids.insert(world.installID ?? 0)
            world.finishInstall(.rolledBack("it broke"))
            #expect(world.state.failures(of: 2) == attempt)
            if attempt < 3 {
                guard case .later(let at, _)? = world.state.work?.step else {
                    Issue.record("no later try after attempt \(attempt)")
                    return
                }
                #expect(at - world.now >= 540 * Double(attempt))
                world.now = at
                world.handle(.tick)
                #expect(world.installs)
            }
        }
        #expect(ids.count == 3)
        #expect(world.state.work == nil)
        #expect(world.notices.contains { if case .blocked = $0 { true } else { false } })
        let reports = world.state.reports.entries.filter { $0.report.eventType == "app_upgrade_upgrade" }
        #expect(reports.count == 3)
    }

    @Test func aCommitCountsOnlyIfTheDeviceReportsTheVersion() {
        var world = offered(2)
        world.download()
        world.finishInstall(.committed)
        #expect(world.state.failures(of: 2) == 1)
        #expect(world.state.lastCommitted == nil)
    }

    @Test func successIsReportedOnlyWhenCommitted() {
        var world = offered(2)
        world.download()
        let kinds = { (world: World) in world.state.reports.entries.map(\.report.kind) }
        #expect(!kinds(world).contains { if case .upgrade = $0 { true } else { false } })
        world.finishInstall(.rebooting)
        #expect(!kinds(world).contains { if case .upgrade = $0 { true } else { false } })
        world.bootID = "boot-2"
        world.start()
        world.installed = .known(versionCode: 2, versionName: "v2")
        world.finishInstall(.committed)
        #expect(kinds(world).contains(.upgrade(running: 1, version: 2, code: 0)))
    }

    /// A module that cannot roll back was interrupted after its work and before it reported the end.
    @Test func aFailedVersionThatTheDeviceReportsCountsAsInstalled() {
        var world = offered(2)
        world.download()
        world.finishInstall(.failed("it was interrupted during ArtifactInstall"))
        world.installed = .known(versionCode: 2, versionName: "v2")
        world.handle(.tick)
        #expect(world.state.work == nil)
        #expect(world.state.lastCommitted == 2 && world.state.lastError == nil)
        #expect(world.state.history.last?.result == .installed)
        let codes = world.state.reports.entries.compactMap {
            if case .upgrade(_, 2, let code) = $0.report.kind { code } else { nil }
        }
        #expect(codes == [Report.Code.failed, Report.Code.success])
    }

    @Test func aPinnedVersionIsNotInstalledAgain() {
        var world = offered(2, 2) { $0.policy.appointVersionCode = 2 }
        world.download()
        world.installed = .known(versionCode: 2, versionName: "v2")
        world.finishInstall(.committed)
        world.poll()
        world.respond(.offer(World.offer(2)))
        #expect(world.notices == [.offerRefused(.alreadyInstalled(2))])
    }

    /// The agent has lost its state: the installer would refuse the version.
    @Test func aPinnedVersionThatIsInstalledIsNotRequestedAgain() {
        var world = offered(2, 2) { $0.policy.appointVersionCode = 2 }
        world.state = AgentState()
        world.installed = .known(versionCode: 2, versionName: "v2")
        world.handle(.started(found: nil))
        world.poll()
        world.respond(.offer(World.offer(2)))
        #expect(world.state.work == nil && world.notices == [.offerRefused(.alreadyInstalled(2))])
    }

    @Test func aVersionAboveThePinIsNotInstalled() {
        let world = offered(2, 3) { $0.policy.appointVersionCode = 2 }
        #expect(world.state.work == nil)
        #expect(world.notices.contains(.offerRefused(.abovePin(offered: 3, pinned: 2))))
    }

    @Test func anInstallerThatDiesIsResumed() {
        var world = offered(2)
        world.download()
        let id = world.installID ?? 0
        world.finishInstall(.lost("exit status 1"))
        #expect(!world.installs)
        world.sleep()
        while world.installID == nil { world.sleep() }
        #expect(world.effects.contains(.resumeInstall(id)))
        #expect(!world.checks)
        #expect(world.state.trials.isEmpty)
    }

    @Test func aJobThatTheInstallerDoesNotKnowIsSentAgainWithItsID() {
        var world = offered(2)
        world.download()
        let id = world.installID ?? 0
        world.start()
        #expect(world.effects.contains(.resumeInstall(id)))
        world.finishInstall(.unknown)
        #expect(
            world.effects.contains(.install(StagedInstallJob(id: id, offer: World.offer(2), artifact: World.artifact))))
    }

    // MARK: restarts of the agent

    @Test func aStartResumesADownload() {
        var world = offered(2)
        world.start()
        #expect(world.downloads)
        #expect(!world.checks)
    }

    @Test func aStartTakesAStoredOfferFromTheInbox() {
        var world = World()
        world.handle(.started(found: World.offer(2)))
        #expect(world.downloads)
        #expect(world.effects.contains { if case .emptyInbox = $0 { true } else { false } })
    }

    @Test func aStoredOfferOfTheInstalledVersionIsDropped() {
        var world = World()
        world.installed = .known(versionCode: 2, versionName: "v2")
        world.handle(.started(found: World.offer(2)))
        #expect(!world.downloads)
        #expect(world.effects.contains { if case .emptyInbox = $0 { true } else { false } })
    }

    // MARK: offers that are no longer needed

    @Test func aWaitingOfferOfTheInstalledVersionIsDropped() {
        var world = offered(1)
        world.download()
        #expect(world.state.work?.step == .consent)
        world.installed = .known(versionCode: 2, versionName: "v2")
        world.handle(.tick)
        #expect(world.state.work == nil)
        #expect(world.notices == [.offerDropped(World.offer(2, 1), .notNewer(offered: 2, installed: 2))])
        #expect(world.effects.contains(.cleanStaging(keep: nil)))
    }

    @Test func anUnknownInstalledVersionDropsNoOffer() {
        var world = offered(1)
        world.download()
        world.installed = .unknown("the file is being written")
        world.handle(.tick)
        #expect(world.state.work?.step == .consent)
    }

    @Test func aRestartRetriesAtOnceAfterAFullDiskButNotAfterATransientError() {
        var world = offered(2)
        world.handle(.downloaded(versionCode: 2, .noSpace("full")))
        world.start()
        #expect(world.downloads)
        world.handle(.downloaded(versionCode: 2, .transientError(.network("down"))))
        world.start()
        #expect(!world.downloads)
    }
}

extension World {
    fileprivate mutating func sleepUntilDownload() {
        for _ in 0..<50 where state.work?.step != .downloading {
            sleep()
            if state.poll.isRunning { respond(.latest) }
        }
    }
}
