import Testing

@testable import UpdateCore

/// What is counted, kept and reported after each result of an installation.
@Suite struct AttemptTests {
    private func upgradeCodes(_ world: World) -> [Int] {
        world.state.reports.entries.compactMap {
            if case .upgrade(_, _, let code) = $0.report.kind { code } else { nil }
        }
    }

    private func delay(_ world: World) -> Seconds? {
        guard case .later(let at, _)? = world.state.work?.step else { return nil }
        return at - world.now
    }

    @Test func theDelayAfterAFailureDoubles() throws {
        var world = offered(2) {
            $0.policy.maximumAttempts = 6
            $0.policy.retryDelay = 1000
        }
        world.download()
        for wanted in [1000.0, 2000, 4000, 8000, 16_000] {
            world.finishInstall(.failed("it broke"))
            let found = try #require(delay(world))
            #expect((wanted * 0.9 - 0.1...wanted * 1.1 + 0.1).contains(found), "\(found)")
            world.now = world.now + found
            world.handle(.tick)
            #expect(world.installs)
        }
        world.finishInstall(.failed("it broke"))
        #expect(world.state.work == nil && world.state.failures(of: 2) == 6)
    }

    @Test func eachAttemptIsLoggedAndHasItsOwnBeginning() {
        var world = offered(2)
        let began = world.wallClock
        world.download()
        world.wallClock = began + 1000
        world.finishInstall(.failed("it broke"))
        #expect(world.state.history.map(\.started) == [began] && world.state.history.map(\.ended) == [began + 1000])
        #expect(world.state.work?.started == began + 1000)
        let attempts = world.notices.compactMap {
            if case .attemptFailed(_, let reason, let attempt, let maximum, _) = $0 {
                "\(reason.text) \(attempt) \(maximum)"
            } else {
                nil
            }
        }
        #expect(attempts == ["it broke 1 3"])
    }

    @Test(arguments: 1...3) func aVersionIsBlockedAfterTheConfiguredNumberOfFailures(attempts: Int) {
        var world = offered(2) { $0.policy.maximumAttempts = attempts }
        world.download()
        for attempt in 1...attempts {
            #expect(world.state.work?.offer.versionCode == 2)
            world.finishInstall(.rolledBack("unhealthy"))
            if attempt < attempts { for _ in 0..<5 where !world.installs { world.sleep() } }
        }
        #expect(world.state.work == nil && world.state.history.count == attempts)
        world.respond(.offer(World.offer(2)))
        #expect(world.notices == [.offerRefused(.blocked(versionCode: 2, attempts: attempts))])
        world.respond(.offer(World.offer(3)))
        #expect(world.downloads, "a newer one is not")
    }

    @Test func aRetryResetsTheCountHereAndInTheInstaller() {
        var world = offered(2) { $0.policy.maximumAttempts = 1 }
        world.download()
        world.finishInstall(.rolledBack("unhealthy"))
        world.state.trials.append(Trial(versionCode: 3, failures: 1, reason: Reason("", .unknown)))
        #expect(refusal(of: .retry(versionCode: 4), world.state, world.context) != nil)
        world.handle(.command(.retry(versionCode: 2)))
        #expect(world.effects.contains(.forgetAttempts(versionCode: 2)) && world.checks)
        #expect(world.state.trials.map(\.versionCode) == [3], "another version's count stays")
        world.respond(.offer(World.offer(2)))
        #expect(world.downloads)
    }

    @Test func eachResultHasItsCodeAndItsEntry() {
        let results: [(InstallResult, Int, Attempt.Result)] = [
            (.rolledBack("no"), Report.Code.rolledBack, .rolledBack), (.failed("no"), Report.Code.failed, .failed),
            (.refused("no"), Report.Code.refused, .refused), (.committed, Report.Code.failed, .failed),
        ]
        for (result, code, entry) in results {
            var world = offered(2)
            world.download()
            world.finishInstall(result)
            #expect(upgradeCodes(world) == [code], "\(result)")
            let isRolledBack = world.notices.contains { if case .rolledBack = $0 { true } else { false } }
            #expect(isRolledBack == (entry == .rolledBack))
            #expect(world.state.history.map(\.result) == [entry] && world.state.failures(of: 2) == 1)
            let isKept = entry != .refused
            #expect((world.state.work?.artifact != nil) == isKept, "what was refused may be damaged")
            for _ in 0..<5 where !world.installs && !world.downloads { world.sleep() }
            #expect(world.installs == isKept && world.downloads == !isKept)
        }
    }

    /// The running version is that of the time before the installation, not what the device reports now.
    @Test func aReportNamesTheVersionBefore() {
        var world = offered(2)
        world.download()
        world.installed = .unknown("the file is being written")
        world.finishInstall(.rolledBack("no"))
        #expect(
            world.state.reports.entries.last?.report.kind
                == .upgrade(running: 1, version: 2, code: Report.Code.rolledBack))
    }

    @Test func anotherVersionThanTheCommittedOneIsAFailure() {
        var world = offered(2)
        world.download()
        world.finishInstall(.committed)
        #expect(world.state.lastErrorCode == .versionMismatch && world.state.lastCommitted == nil)
        #expect(world.state.lastError?.contains("the device reports v1, code 1") == true)
        #expect(world.state.failures(of: 2) == 1 && world.state.work != nil)
    }

    @Test func aCommitForgetsTheFailuresUpToIt() {
        var world = offered(2, 3)
        world.state.trials = [2, 3, 4].map { Trial(versionCode: $0, failures: 1, reason: Reason("", .unknown)) }
        world.state.note(Reason("an old error", .unknown))
        world.download(3)
        world.installed = .known(versionCode: 3, versionName: nil)
        world.finishInstall(.committed)
        #expect(world.state.trials.map(\.versionCode) == [4])
        #expect(world.state.lastError == nil && world.state.lastCommitted == 3)
        #expect(upgradeCodes(world) == [Report.Code.success])
        #expect(world.effects.contains(.cleanStaging(keep: nil)))
    }

    /// The user sees the announcement of each attempt.
    @Test func aForcedVersionIsAnnouncedAgainAfterAFailure() {
        var world = offered(3) { $0.policy.gracePeriod = 300 }
        world.download()
        world.pass(301)
        #expect(world.installs)
        world.finishInstall(.failed("no"))
        #expect(world.state.work?.deadline == nil)
        for _ in 0..<5 where world.state.work?.deadline == nil { world.sleep() }
        #expect(world.state.work?.deadline == world.now + 300 && !world.installs)
    }

    /// What the last installation left is not that of the next one.
    @Test func anInstallationBeginsAnew() {
        var world = offered(2) { $0.inhibitors = [Inhibitor(what: [.install], who: "TV", why: "")] }
        world.download()
        world.state.work?.rebootWait = RebootWait(isRollback: true, since: world.now)
        world.state.work?.mayReboot = true
        world.state.work?.isCancelled = true
        world.state.work?.isCancelSent = true
        world.inhibitors = []
        world.handle(.tick)
        #expect(world.installs && world.state.work?.rebootWait == nil && world.state.work?.mayReboot == false)
        #expect(world.state.work?.isCancelled == nil && world.state.work?.isCancelSent == false)
        #expect(world.state.work?.installedBefore == 1)
    }

    @Test func theResultOfAnotherInstallationIsIgnored() {
        var world = offered(2)
        world.download()
        let before = world.state
        for id in [(world.installID ?? 0) + 1, 0] {
            world.handle(.installed(id, .failed("no")))
            #expect(world.state == before)
        }
    }

    @Test func theTrialsAreBoundedAndTheLatestStay() {
        var state = AgentState()
        for code in 1...20 { state.countFailure(of: code, Reason("no", .moduleFailed)) }
        state.countFailure(of: 15, Reason("again", .moduleFailed))
        #expect(state.trials.map(\.versionCode) == [13, 14, 16, 17, 18, 19, 20, 15])
        #expect(state.failures(of: 15) == 2 && state.failures(of: 14) == 1 && state.failures(of: 1) == 0)
    }

    // MARK: disk space

    @Test func theWaitForDiskSpaceIsAtLeastTenMinutesAndGrows() throws {
        var world = offered(2)
        var waits: [Seconds] = []
        for _ in 0..<8 {
            world.handle(.downloaded(versionCode: 2, .noSpace("full")))
            waits.append(try #require(delay(world)))
            for _ in 0..<50 where world.state.work?.step != .downloading {
                world.sleep()
                if world.state.poll.isRunning { world.respond(.latest) }
            }
        }
        #expect(waits.allSatisfy { (600...3600).contains($0) } && waits[0] == 600 && waits[7] >= 1800, "\(waits)")
        #expect(world.state.lastErrorCode == .diskFull && world.state.trials.isEmpty)
        // A shorter cap counts, for tests and demonstrations.
        world = offered(2) { $0.policy.schedule.backOffCap = 10 }
        world.handle(.downloaded(versionCode: 2, .noSpace("full")))
        #expect(delay(world).map { $0 <= 10 } == true)
    }

    @Test func theInstallersFullDiskKeepsTheFile() {
        var world = offered(2)
        world.download()
        world.finishInstall(.noSpace("full"))
        #expect(world.state.work?.artifact != nil && world.state.failures(of: 2) == 0 && upgradeCodes(world).isEmpty)
    }

    // MARK: local files

    @Test func aLocalFileDoesNotWaitForAWindow() {
        var world = World()
        world.wallClock = DecisionTests.noon
        world.policy.windows = [MaintenanceWindow("02:00-05:00")].compactMap { $0 }
        world.start()
        let offer = Offer(file: "/usb/v2.tar", urlKey: "device", versionCode: 2)
        world.handle(.fileOffered(offer, World.artifact))
        #expect(world.installs && world.effects.contains(.cleanStaging(keep: 2)))
    }

    @Test func aLocalFileReplacesWhatWaitsAndNothingElse() {
        let file = Offer(file: "/usb/v3.tar", urlKey: "device", versionCode: 3)
        var world = offered(2)
        world.handle(.fileOffered(file, World.artifact))
        #expect(world.state.work?.offer.versionCode == 2 && !world.installs)
        world = offered(1)
        world.download()
        world.handle(.fileOffered(file, World.artifact))
        #expect(world.installs && world.state.history.map(\.result) == [.replaced])
    }

    /// The staged file of the offer that waits is still needed.
    @Test func aRefusedLocalFileKeepsTheFileOfTheOffer() {
        var world = offered(1)
        world.download()
        world.handle(.fileOffered(Offer(file: "/usb/v1.tar", urlKey: "device", versionCode: 1), World.artifact))
        #expect(world.effects.contains(.cleanStaging(keep: 2)) && world.state.work?.step == .consent)
        #expect(world.notices == [.offerRefused(.notNewer(offered: 1, installed: 1))])
    }
}
