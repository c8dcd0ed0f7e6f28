import Testing

@testable import UpdateCore

@Suite struct WorkTests {
    private func offered(_ type: Int, _ version: Int = 2, _ change: (inout World) -> Void = { _ in }) -> World {
        var world = World()
        change(&world)
        world.start()
        world.poll()
        world.respond(.offer(World.offer(version, type)))
        return world
    }

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

    // MARK: downloads

    @Test func transientErrorsAreNotCountedAsFailures() {
        var world = offered(2)
        for round in 1...30 {
            world.handle(.downloaded(versionCode: 2, .transientError(.network("down"))))
            #expect(world.state.work?.obstacles == round)
            for _ in 0..<50 where world.state.work?.step != .downloading {
                world.sleep()
                if world.state.poll.isRunning { world.respond(.transientError(.network("down"))) }
            }
            #expect(world.state.work?.step == .downloading)
        }
        #expect(world.state.trials.isEmpty)
        world.download()
        #expect(world.installs)
    }

    @Test func aFullDiskIsShownAndRetriedLater() {
        var world = offered(2)
        world.handle(.downloaded(versionCode: 2, .noSpace("5 GB more are needed in /var/cache")))
        #expect(statusText(world.state, world.context).contains("5 GB more are needed in /var/cache"))
        guard case .later(let at, _)? = world.state.work?.step else {
            Issue.record("it does not wait")
            return
        }
        #expect(at - world.now >= 600)
    }

    /// 404 ends an offer only after days, and only if the server no longer offers that version.
    @Test func anOfferWhoseFileIsMissingStaysForDays() {
        var world = offered(2)
        let began = world.now
        var polls = 0
        var last = ""
        for _ in 0..<3000 where world.state.work != nil {
            if world.state.work?.step == .downloading {
                world.handle(.downloaded(versionCode: 2, .gone("HTTP 404 for the file")))
                last = statusText(world.state, world.context)
            } else if world.state.poll.isRunning {
                polls += 1
                world.respond(.latest)
            } else {
                let before = world.now
                world.sleep()
                world.wallClock = world.wallClock + (world.now - before)
            }
        }
        #expect(world.state.work == nil)
        let days = (world.now - began) / 86_400
        #expect((3...5).contains(days), "\(days)")
        #expect(Double(polls) <= days / 0.9 + 1, "\(polls) polls in \(days) days")
        #expect(
            last.contains("HTTP 404 for the file; tried ") && last.contains(" times since 2030-03-17 17:46"), "\(last)")
        #expect(world.state.history.last?.result == .gone)
        #expect(
            world.state.reports.entries.last?.report.kind == .download(running: 1, version: 2, code: Report.Code.gone))
    }

    @Test func anOfferWhoseFileIsMissingStaysAsLongAsTheServerOffersIt() {
        var world = offered(2)
        for _ in 0..<3000 where world.now.seconds < 30 * 86_400 {
            if world.state.work?.step == .downloading {
                world.handle(.downloaded(versionCode: 2, .gone("HTTP 404")))
            } else if world.state.poll.isRunning {
                world.respond(.offer(World.offer(2)))
            } else {
                let before = world.now
                world.sleep()
                world.wallClock = world.wallClock + (world.now - before)
            }
        }
        #expect(world.state.work?.offer.versionCode == 2)
        if world.state.work?.step == .downloading { world.handle(.downloaded(versionCode: 2, .gone("HTTP 404"))) }
        world.handle(.command(.check))
        world.respond(.offer(World.offer(2, url: "http://other.example/v")))
        #expect(world.downloads)
        #expect(world.state.work?.obstacles == 0)
        world.download()
        #expect(world.installs)
    }

    /// The server offers an older version instead of one whose file it has removed.
    @Test func aWithdrawnVersionIsReplacedByAnOlderOne() {
        var world = offered(2, 5)
        world.handle(.downloaded(versionCode: 5, .gone("HTTP 404")))
        for _ in 0..<50 where !world.state.poll.isRunning {
            if world.state.work?.step == .downloading { world.handle(.downloaded(versionCode: 5, .gone("HTTP 404"))) }
            world.sleep()
        }
        world.respond(.offer(World.offer(4)))
        #expect(world.state.work?.offer.versionCode == 4)
    }

    /// An attacker or a proxy that responds instead of the file's host must not end an update.
    @Test func whatIsNotVerifiedIsNeverCountedAgainstTheVersion() {
        var world = offered(2)
        let results: [DownloadResult] = [
            .refused("its content is not what was signed"), .transientError(.file("HTTP 403 for the file")),
            .transientError(.server(status: 503, detail: "", retryAfter: nil)), .gone("HTTP 410"),
        ]
        for round in 0..<40 {
            world.handle(.downloaded(versionCode: 2, results[round % results.count]))
            #expect(!world.installs)
            for _ in 0..<50 where world.state.work?.step != .downloading {
                world.sleep()
                if world.state.poll.isRunning { world.respond(.latest) }
            }
            #expect(world.state.work?.step == .downloading)
        }
        #expect(world.state.trials.isEmpty)
        let refusals = world.state.reports.entries.filter {
            $0.report.kind == .download(running: 1, version: 2, code: Report.Code.refused)
        }
        #expect(refusals.count == 1, "one report, not one for each try")
        world.download()
        #expect(world.installs)
    }

    @Test func theDelayBetweenDownloadsGrowsToADayAndWithoutAResponseToSixHours() {
        for (result, bound) in [
            (DownloadResult.gone("HTTP 404"), 86_400.0), (.transientError(.network("down")), 21_600),
        ] {
            var world = offered(2) { $0.policy.schedule = .standard }
            var delays: [Seconds] = []
            for _ in 0..<16 {
                world.handle(.downloaded(versionCode: 2, result))
                if case .later(let at, _)? = world.state.work?.step { delays.append(at - world.now) }
                for _ in 0..<50 where world.state.work?.step != .downloading {
                    world.sleep()
                    if world.state.poll.isRunning { world.respond(.offer(World.offer(2))) }
                }
            }
            #expect(delays[0] <= 60 && delays.max() ?? 0 <= bound && delays[15] >= bound / 2, "\(delays)")
        }
    }

    /// Downloads that bring nothing slow down, and the status says what they cost.
    @Test func dataBeyondThreeTimesTheFilesSizeIsShownAndSlowsDown() {
        var world = offered(2) { $0.policy.schedule = .standard }
        var delays: [Seconds] = []
        for _ in 0..<5 {
            world.handle(
                .downloaded(
                    versionCode: 2, .transientError(.network("cut")),
                    DownloadTraffic(received: 4_000_000, size: 4_000_000)))
            if case .later(let at, _)? = world.state.work?.step { delays.append(at - world.now) }
            for _ in 0..<50 where world.state.work?.step != .downloading { world.sleep() }
        }
        #expect(delays[1] <= 120 && delays[4] > 1800, "\(delays)")
        #expect(world.state.lastError?.contains("20 MB have been received for a file of 4.0 MB") == true)
    }

    /// A portal's page with status 403 or 404 is no word of the API: it may end at any moment.
    @Test func aRefusalByAnotherServerIsRetriedSooner() {
        for (code, bound) in [(404, 60.0), (404_002, 4000)] {
            var world = World()
            world.start()
            world.poll()
            world.respond(
                .misconfigured(Misconfiguration(status: 404, code: code, message: "an HTML page", traceID: nil)))
            let delay = world.state.poll.next - world.now
            #expect(delay <= bound && delay >= bound * 0.5, "\(delay)")
        }
    }

    /// Reports of the time before the reboot do not wait for the next check, which may be a day away.
    @Test func aRebootWithAnOfferDoesNotDelayTheReports() {
        var world = offered(2)
        world.download()
        world.bootID = "boot-2"
        world.now = BootInstant(10)
        world.handle(.started(found: nil))
        world.installed = .known(versionCode: 2, versionName: "v2")
        world.finishInstall(.committed)
        #expect(world.state.reports.notBefore - world.now <= world.policy.schedule.splay)
    }

    @Test func aRebootDoesNotBringTheNextCheckForward() {
        var world = offered(2)
        world.handle(.downloaded(versionCode: 2, .gone("HTTP 404")))
        let poll = world.state.poll.next - world.now
        world.bootID = "boot-2"
        world.now = BootInstant(10)
        world.wallClock = world.wallClock + 3600
        world.handle(.started(found: nil))
        #expect(world.state.poll.next - world.now > poll - 3 * 3600)
    }

    /// Each granted response consumes the roll-out quota.
    @Test func anOfferThatCannotBeTakenUpIsNotRequestedAgainForADay() {
        var world = World()
        world.start()
        world.poll()
        world.respond(.refusedOffer(.unusableURL("it is empty")))
        #expect(world.state.lastError == "the offered urlPath is unusable: it is empty")
        #expect(world.state.poll.next - world.now > 77_000)
        #expect(
            statusText(world.state, world.context).hasPrefix("The offered urlPath is unusable: it is empty; next check")
        )
    }

    @Test func aMisconfiguredAnswerDoesNotHastenTheChecksWhileAFileIsMissing() {
        var world = offered(2)
        world.handle(.downloaded(versionCode: 2, .gone("HTTP 404")))
        world.handle(.command(.check))
        world.respond(.misconfigured(Misconfiguration(status: 404, code: 404_002, message: "", traceID: nil)))
        #expect(world.state.poll.next - world.now > 77_000)
    }

    @Test func withoutKeysNothingIsDownloadedUntilAReload() {
        var world = offered(2) { $0.policy.canVerify = false }
        #expect(!world.downloads)
        #expect(statusText(world.state, world.context).contains("verification.keys"))
        world.policy.canVerify = true
        world.handle(.configurationChanged)
        #expect(world.downloads)
    }

    @Test func theEndOfAnUnexpectedDownloadIsIgnored() {
        var world = offered(2)
        let before = world.state
        world.handle(.downloaded(versionCode: 9, .verified(World.artifact)))
        #expect(world.state == before)
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
