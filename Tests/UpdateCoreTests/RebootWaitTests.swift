import Testing

@testable import UpdateCore

/// A reboot that is refused, or that does not come although the command for it has succeeded.
@Suite struct RebootWaitTests {
    /// A device whose installation waits for its reboot, which has been requested.
    private func rebooting(_ type: Int = 2, _ change: (inout World) -> Void = { _ in }) -> (World, InstallID) {
        var world = offered(type, 2, change)
        world.download()
        let id = world.installID ?? 0
        world.finishInstall(.needsReboot(isRollback: false))
        world.handle(.installed(id, .rebooting))
        return (world, id)
    }

    private func requestsReboot(_ world: World) -> Bool {
        world.effects.contains { if case .reboot = $0 { true } else { false } }
    }

    private func resumes(_ world: World) -> Bool {
        world.effects.contains { if case .resumeInstall = $0 { true } else { false } }
    }

    private func cancels(_ world: World) -> Bool {
        world.effects.contains { if case .cancelInstall = $0 { true } else { false } }
    }

    @Test func aRebootThatDoesNotComeIsShownAndRequestedAgain() {
        var (world, id) = rebooting()
        #expect(world.state.work?.step == .rebooting(id))
        let requested = world.now
        for round in 1...12 {
            world.sleep()
            #expect(world.now - requested >= 300)
            guard case .later(let at, .rebootRefused(id, _))? = world.state.work?.step else {
                Issue.record("it does not wait: \(String(describing: world.state.work?.step))")
                return
            }
            #expect(at - world.now <= 3600)
            let status = statusText(world.state, world.context)
            #expect(status.contains("no reboot came within 5 min (install.rebootTimeout)"), "\(status)")
            if round > 1 { #expect(status.contains("; tried \(round) times since 2030-03-17 17:46"), "\(status)") }
            for _ in 0..<5 where world.state.work?.step != .installing(id) {
                world.sleep()
                if world.state.poll.isRunning { world.respond(.latest) }
            }
            #expect(resumes(world))
            world.finishInstall(.needsReboot(isRollback: false))
            #expect(requestsReboot(world))
            world.handle(.installed(id, .rebooting))
        }
        #expect(world.state.trials.isEmpty && world.state.history.isEmpty)
        #expect(
            !world.state.reports.entries.contains { if case .upgrade = $0.report.kind { true } else { false } },
            "it is not the version's fault")
        // The reboot comes after all.
        world.bootID = "boot-2"
        world.now = BootInstant(5)
        world.start()
        #expect(resumes(world))
        world.installed = .known(versionCode: 2, versionName: "v2")
        world.finishInstall(.committed)
        #expect(world.state.history.map(\.result) == [.installed])
    }

    /// The first request may hang.
    @Test func aRequestWithoutAnAnswerEndsTheSameWay() {
        var world = offered(2)
        world.download()
        world.finishInstall(.needsReboot(isRollback: false))
        #expect(requestsReboot(world))
        world.sleep()
        guard case .later(_, .rebootRefused)? = world.state.work?.step else {
            Issue.record("it does not wait")
            return
        }
    }

    @Test func theOperatorHastensTheWait() {
        var (world, id) = rebooting()
        world.handle(.command(.retry(versionCode: 2)))
        #expect(resumes(world) && world.state.work?.step == .installing(id))
        world.finishInstall(.needsReboot(isRollback: false))
        world.handle(.installed(id, .rebootRefused("inhibited by TV")))
        world.handle(.command(.retry(versionCode: 2)))
        #expect(resumes(world) && world.state.work?.step == .installing(id))
        world.finishInstall(.needsReboot(isRollback: false))
        #expect(requestsReboot(world))
    }

    /// Consent that was given once to this reboot is not requested again after a refusal.
    @Test func theConsentToTheRebootSurvivesARefusal() {
        var world = offered(2) { $0.policy.reboot = .ask }
        world.download()
        let id = world.installID ?? 0
        world.finishInstall(.needsReboot(isRollback: false))
        #expect(!requestsReboot(world))
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(requestsReboot(world))
        world.handle(.installed(id, .rebootRefused("inhibited by TV")))
        world.sleep()
        world.finishInstall(.needsReboot(isRollback: false))
        #expect(requestsReboot(world))
        // It is for this installation only.
        world.handle(.installed(id, .rebootRefused("inhibited by TV")))
        world.sleep()
        world.finishInstall(.rolledBack("unhealthy"))
        for _ in 0..<5 where !world.installs { world.sleep() }
        world.finishInstall(.needsReboot(isRollback: false))
        #expect(!requestsReboot(world))
    }

    /// An inhibitor of a program delays a forced version for the limit, counted from the first need of the reboot.
    @Test func aRefusalDoesNotExtendTheInhibitLimit() {
        var world = offered(3) { $0.policy.inhibitLimit = 3600 }
        world.download()
        let id = world.installID ?? 0
        world.finishInstall(.needsReboot(isRollback: false))
        let since = world.now
        world.inhibitors = [Inhibitor(what: [.reboot], who: "tv", why: "")]
        world.handle(.installed(id, .rebootRefused("inhibited by TV")))
        world.sleep()
        world.finishInstall(.needsReboot(isRollback: false))
        for _ in 0..<5 where !requestsReboot(world) {
            world.sleep()
            if world.state.poll.isRunning { world.respond(.latest) }
        }
        #expect(requestsReboot(world) && (3600..<3700).contains(world.now - since), "\(world.now - since)")
    }

    // MARK: cancel

    private enum Place: CaseIterable { case ready, rebooting, refused }

    /// Returns the world at that place of the wait.
    private func waiting(_ place: Place, _ type: Int) -> (World, InstallID) {
        var (world, id) = rebooting(type) { if place == .ready { $0.policy.reboot = .ask } }
        if place == .refused { world.handle(.installed(id, .rebootRefused("inhibited by TV"))) }
        if place == .ready {
            world = offered(type) { $0.policy.reboot = .ask }
            world.handle(.command(.accept(versionCode: 2, .now)))
            world.download()
            id = world.installID ?? 0
            world.finishInstall(.needsReboot(isRollback: false))
        } else if type == 1 {
            world = offered(type)
            world.handle(.command(.accept(versionCode: 2, .now)))
            world.download()
            id = world.installID ?? 0
            world.finishInstall(.needsReboot(isRollback: false))
            world.handle(.installed(id, place == .refused ? .rebootRefused("inhibited by TV") : .rebooting))
        }
        return (world, id)
    }

    @Test(arguments: Place.allCases) private func anInstallationThatWaitsForItsRebootIsCancelled(place: Place) {
        for type in [1, 2] {
            var (world, id) = waiting(place, type)
            #expect(refusal(of: .cancel, world.state, world.context) == nil)
            world.handle(.command(.cancel))
            #expect(cancels(world) && world.state.work?.step == .installing(id))
            #expect(refusal(of: .cancel, world.state, world.context) != nil, "it is being rolled back already")
            // The rollback may need a reboot of its own, which cannot be cancelled.
            world.finishInstall(.needsReboot(isRollback: true))
            #expect(requestsReboot(world))
            #expect(statusText(world.state, world.context).contains("roll back"))
            #expect(refusal(of: .cancel, world.state, world.context) != nil)
            world.bootID = "boot-2"
            world.now = BootInstant(5)
            world.start()
            world.finishInstall(.interrupted("it was cancelled"))
            #expect(world.state.trials.isEmpty)
            #expect(world.state.history.map(\.result) == [.interrupted])
            #expect(world.state.work?.artifact != nil, "the file is kept")
            if type == 1 {
                #expect(world.state.work?.step == .consent)
                #expect((world.state.work?.askAgainAt).map { $0 - world.now } == Work.reminder)
                world.handle(.command(.accept(versionCode: 2, .now)))
                #expect(world.installs && world.installID != id)
            } else {
                guard case .later(let at, .cancelled)? = world.state.work?.step else {
                    Issue.record("it is not cancelled: \(String(describing: world.state.work?.step))")
                    return
                }
                #expect(at - world.now > 77_000)
            }
        }
    }

    @Test func aForcedVersionAndARollbackCannotBeCancelled() {
        var (world, id) = rebooting(3) { $0.policy.gracePeriod = 0 }
        #expect(refusal(of: .cancel, world.state, world.context)?.description.contains("is forced") == true)
        world = offered(2)
        world.download()
        id = world.installID ?? 0
        world.finishInstall(.needsReboot(isRollback: true))
        world.handle(.installed(id, .rebooting))
        #expect(refusal(of: .cancel, world.state, world.context)?.description.contains("is being rolled back") == true)
        world.handle(.installed(id, .rebootRefused("no")))
        #expect(refusal(of: .cancel, world.state, world.context)?.description.contains("is being rolled back") == true)
    }

    /// The agent is restarted before the installer has received the cancellation.
    @Test func aCancellationSurvivesARestartOfTheAgent() {
        var (world, id) = rebooting()
        world.handle(.command(.cancel))
        world.start()
        #expect(resumes(world))
        world.finishInstall(.needsReboot(isRollback: false))
        #expect(cancels(world) && !requestsReboot(world))
        #expect(world.state.work?.step == .installing(id))
        world.finishInstall(.interrupted("it was cancelled"))
        guard case .later(_, .cancelled)? = world.state.work?.step else {
            Issue.record("it is not cancelled")
            return
        }
    }

    /// A module without a rollback: the installer says again that it needs the reboot.
    @Test(arguments: [false, true]) func aCancellationThatIsImpossibleIsSentOnce(isRestarted: Bool) {
        var (world, id) = rebooting()
        world.handle(.command(.cancel))
        #expect(cancels(world))
        if isRestarted {
            world.start()
            world.finishInstall(.needsReboot(isRollback: false))
            #expect(cancels(world), "it may not have been received")
        }
        world.finishInstall(.needsReboot(isRollback: false))
        #expect(!cancels(world) && requestsReboot(world) && world.notices.contains(.notRolledBack(World.offer(2))))
        world.handle(.installed(id, .rebooting))
        world.installed = .known(versionCode: 2, versionName: "v2")
        world.start()
        world.finishInstall(.committed)
        #expect(world.state.history.map(\.result) == [.installed])
    }

    /// The installer itself has requested a reboot, and refuses the cancellation.
    @Test func aCancellationThatIsRefusedCausesNoLoop() {
        var world = offered(2)
        world.download()
        let id = world.installID ?? 0
        world.handle(.installed(id, .rebooting))
        world.handle(.command(.cancel))
        #expect(cancels(world))
        var cancellations = 0
        let began = world.now
        for _ in 0..<50 where world.now - began < 6 * 3600 {
            if world.state.work?.step == .installing(id) {
                world.handle(.installed(id, .rebooting))
            } else {
                world.sleep()
            }
            if world.state.poll.isRunning { world.respond(.latest) }
            if cancels(world) { cancellations += 1 }
        }
        #expect(cancellations == 0 && world.now - began > 3600, "\(cancellations), \(world.now - began)")
    }

    /// The reboot came first, or the rollback fails.
    @Test func aCancellationThatComesTooLateLeadsToTheResult() {
        var (world, _) = rebooting()
        world.handle(.command(.cancel))
        world.installed = .known(versionCode: 2, versionName: "v2")
        world.finishInstall(.committed)
        #expect(world.state.work == nil)
        #expect(world.state.history.map(\.result) == [.installed])

        (world, _) = rebooting()
        world.handle(.command(.cancel))
        world.finishInstall(.failed("the rollback failed"))
        #expect(world.state.trials.count == 1)
        guard case .later(_, .cancelled)? = world.state.work?.step else {
            Issue.record("it is installed again without the user")
            return
        }
    }

    @Test func aCancelledInstallationWithoutARecordDoesNotBegin() {
        var (world, _) = rebooting()
        world.handle(.command(.cancel))
        world.finishInstall(.unknown)
        #expect(!world.installs)
    }

    // MARK: checks

    /// Checks continue about once a day, with the version that the device reports.
    @Test func theAgentKeepsCheckingWhileARebootWaits() {
        var world = offered(2) { $0.policy.reboot = .ask }
        world.download()
        world.finishInstall(.needsReboot(isRollback: false))
        let began = world.now
        var polls: [BootInstant] = []
        for _ in 0..<100 where world.now - began < 10 * 86_400 {
            world.sleep()
            guard world.checks else { continue }
            polls.append(world.now)
            #expect(world.effects.contains { if case .check(let check) = $0 { check.versionCode == 1 } else { false } })
            world.respond(polls.count.isMultiple(of: 2) ? .latest : .transientError(.network("down")))
        }
        #expect((8...12).contains(polls.count), "\(polls.count) polls in ten days")
        #expect(refusal(of: .check, world.state, world.context) == nil)
        #expect(refusalOfFile(world.state) != nil)
        world.handle(.command(.check))
        #expect(world.checks)
    }

    /// The roll-out quota of the newer offer is consumed: it stays in the inbox, which every check reads first.
    @Test func aNewerOfferIsTakenUpAfterTheInstallation() {
        var (world, id) = rebooting()
        world.handle(.installed(id, .rebootRefused("inhibited by TV")))
        world.handle(.command(.check))
        world.respond(.offer(World.offer(3)))
        #expect(world.state.work?.offer.versionCode == 2)
        #expect(!world.effects.contains { if case .emptyInbox = $0 { true } else { false } })
        // It causes no busy loop.
        var checks = 0
        let began = world.now
        for _ in 0..<1000 where world.now - began < 3 * 86_400 {
            world.sleep()
            if world.state.poll.isRunning {
                checks += 1
                world.respond(.offer(World.offer(3)))
            } else if let id = world.installID {
                world.handle(.installed(id, .rebootRefused("inhibited by TV")))
            }
        }
        #expect(checks <= 4, "\(checks)")
        for _ in 0..<10 where world.installID == nil { world.sleep() }
        world.installed = .known(versionCode: 2, versionName: "v2")
        world.finishInstall(.committed)
        #expect(world.checks, "the inbox is read at once")
        world.respond(.offer(World.offer(3)))
        #expect(world.state.work?.offer.versionCode == 3)
    }

    /// The same version is offered again: on a device with two slots the running version is still the old one.
    @Test func theSameVersionIsNotTakenUpTwice() {
        var (world, id) = rebooting()
        world.handle(.installed(id, .rebootRefused("inhibited by TV")))
        world.handle(.command(.check))
        world.respond(.offer(World.offer(2)))
        #expect(world.effects.contains(.emptyInbox(upTo: 2)))
        guard case .later(_, .rebootRefused)? = world.state.work?.step else {
            Issue.record("the installation is forgotten")
            return
        }
    }

    // MARK: visibility

    @Test func aRebootThatIsRefusedForADayIsAnError() {
        for clockIsSet in [true, false] {
            var (world, id) = rebooting { if !clockIsSet { $0.wallClock = WallTime(unixSeconds: 0) } }
            let began = world.now
            for _ in 0..<500 where world.now - began < 86_400 + 3700 {
                let before = world.now
                if world.state.poll.isRunning {
                    world.respond(.latest)
                } else if world.installID != nil {
                    world.handle(.installed(id, .rebootRefused("inhibited by TV")))
                    if world.now - began < 86_000 { #expect(!world.state.isStuck(world.context)) }
                } else {
                    world.sleep()
                }
                world.wallClock = world.wallClock + (world.now - before)
            }
            if world.installID != nil { world.handle(.installed(id, .rebootRefused("inhibited by TV"))) }
            #expect(world.state.isStuck(world.context))
            world.handle(.command(.retry(versionCode: 2)))
            #expect(!world.state.isStuck(world.context))
        }
    }
}
