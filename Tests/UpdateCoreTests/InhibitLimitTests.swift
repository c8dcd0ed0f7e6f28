import Testing

@testable import UpdateCore

/// How long an inhibitor can delay each step, to the moment.
@Suite struct InhibitLimitTests {
    private func inhibitor(_ what: Inhibitor.What) -> Inhibitor { Inhibitor(what: [what], who: "TV", why: "film") }

    /// When the inhibitor that delays the offer stops to count; nil if it counts without a limit, or if nothing delays it.
    private func limit(_ world: World) -> BootInstant? {
        guard let work = world.state.work, case .inhibited(_, let until)? = world.context.delay(work, world.state)
        else {
            return nil
        }
        return until
    }

    /// Checks that the step begins at this moment, and not the shortest time before it.
    private func check(
        _ world: inout World, _ until: BootInstant, _ begins: (World) -> Bool,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(nextWakeUp(world.state, world.context).map { $0 <= until } == true, sourceLocation: sourceLocation)
        world.now = BootInstant(until.seconds.nextDown)
        world.handle(.tick)
        #expect(!begins(world), "too early", sourceLocation: sourceLocation)
        world.now = until
        world.handle(.tick)
        #expect(begins(world), "held for too long", sourceLocation: sourceLocation)
    }

    /// A device whose installation, or the rollback of it, waits for its reboot, which is inhibited.
    private func waitsForReboot(_ type: Int, isRollback: Bool, _ change: (inout World) -> Void = { _ in }) -> World {
        var world = offered(type, 2, change)
        world.download()
        world.inhibitors = [inhibitor(.reboot)]
        world.finishInstall(.needsReboot(isRollback: isRollback))
        #expect(!world.reboots)
        return world
    }

    @Test func theRebootOfAForcedVersionIsHeldForTheLimit() throws {
        var world = waitsForReboot(3, isRollback: false)
        let until = try #require(limit(world))
        #expect(until == world.now + 3600)
        check(&world, until) { $0.reboots }
    }

    @Test(arguments: [1, 2, 3]) func theRebootOfARollbackIsHeldForTheLimit(type: Int) throws {
        var world = offered(type) { $0.policy.reboot = .ask }
        if type == 1 { world.handle(.command(.accept(versionCode: 2, .now))) }
        world.download()
        world.policy.windows = [MaintenanceWindow("02:00-02:01")].compactMap { $0 }
        world.inhibitors = [inhibitor(.reboot)]
        world.finishInstall(.needsReboot(isRollback: true))
        let until = try #require(limit(world))
        #expect(until == world.now + 3600)
        check(&world, until) { $0.reboots }
    }

    @Test(arguments: [0.0, 60, 7200]) func theLimitIsTheConfiguredOne(seconds: Seconds) throws {
        var world = offered(3) { $0.policy.inhibitLimit = seconds }
        world.download()
        world.inhibitors = [inhibitor(.reboot)]
        world.finishInstall(.needsReboot(isRollback: false))
        if seconds == 0 { return #expect(world.reboots) }
        let until = try #require(limit(world))
        #expect(until == world.now + seconds)
        check(&world, until) { $0.reboots }
    }

    /// A silent version has no deadline, and a recording may take a night.
    @Test func theRebootOfASilentVersionIsHeldAsLongAsTheInhibitorIs() {
        var world = waitsForReboot(2, isRollback: false)
        world.pass(1000 * 3600)
        #expect(!world.reboots && world.state.work != nil)
        world.inhibitors = []
        world.handle(.tick)
        #expect(world.reboots)
    }

    @Test func theInstallationOfAForcedVersionIsHeldForTheLimitAfterItsDeadline() throws {
        var world = offered(3) { $0.policy.gracePeriod = 300 }
        let downloaded = world.now
        world.download()
        world.inhibitors = [inhibitor(.install)]
        world.pass(301)
        let until = try #require(limit(world))
        #expect(until == downloaded + 300 + 3600)
        check(&world, until) { $0.installs }
    }

    @Test func theDownloadOfAForcedVersionIsHeldForTheLimit() throws {
        var world = offered(3) { $0.inhibitors = [inhibitor(.download)] }
        #expect(!world.downloads && world.state.work?.step == .ready)
        let until = try #require(limit(world))
        #expect(until == world.now + 3600)
        check(&world, until) { $0.downloads }
        // It is not stopped again.
        world.pass(10)
        #expect(world.state.work?.step == .downloading)
    }

    @Test func theDownloadOfASilentVersionIsHeldAsLongAsTheInhibitorIs() {
        var world = offered(2) { $0.inhibitors = [inhibitor(.download)] }
        #expect(limit(world) == nil)
        world.pass(1000 * 3600)
        #expect(!world.downloads && world.state.work?.step == .ready)
    }

    /// The rollback needs a reboot of its own: the time that the first one has waited does not count.
    @Test func theLimitOfARollbackCountsFromItsOwnNeed() throws {
        var world = waitsForReboot(3, isRollback: false)
        let first = try #require(limit(world))
        world.now = first
        world.handle(.tick)
        #expect(world.reboots)
        world.finishInstall(.rebootRefused("inhibited by TV"))
        #expect(world.state.work?.obstacles == 1)
        world.sleep()
        world.finishInstall(.needsReboot(isRollback: true))
        #expect(!world.reboots && limit(world) == world.now + 3600)
        #expect(world.state.work?.obstacles == 0, "nothing has hindered it yet")
        world.finishInstall(.needsReboot(isRollback: true))
        #expect(limit(world) == world.now + 3600)
    }

    /// Instants of an earlier boot mean nothing.
    @Test func theLimitCountsAnewAfterABoot() {
        var world = waitsForReboot(3, isRollback: false) { $0.now = BootInstant(90_000) }
        world.reboot(after: 60)
        #expect(world.state.work?.rebootWait == nil && world.state.work?.since == world.now)
        world.finishInstall(.needsReboot(isRollback: false))
        #expect(!world.reboots && limit(world) == world.now + 3600)
    }

    @Test func anInhibitorDelaysOnlyWhatItNames() {
        for what in Inhibitor.What.allCases {
            var world = offered(2) { $0.inhibitors = [inhibitor(what)] }
            #expect(world.downloads == (what != .download))
            world.inhibitors = []
            world.handle(.tick)
            world.inhibitors = [inhibitor(what)]
            if what == .download { world.state.work?.step = .downloading }
            world.download()
            #expect(world.installs == (what != .install), "\(what)")
            world.inhibitors = []
            world.handle(.tick)
            world.inhibitors = [inhibitor(what)]
            world.finishInstall(.needsReboot(isRollback: false))
            #expect(world.reboots == (what != .reboot), "\(what)")
        }
    }

    @Test func theListOfAnInhibitorIsRead() {
        #expect(Inhibitor.what("download:install") == [.download, .install])
        #expect(Inhibitor.what("reboot") == [.reboot])
        for text in ["", ":", "reboot:", "shutdown", "reboot:shutdown", "Reboot", "reboot install"] {
            #expect(Inhibitor.what(text) == nil, "\(text)")
        }
        #expect(inhibitor(.install).line == "TV: film")
        #expect(Inhibitor(what: [.install], who: "TV", why: "").line == "TV")
    }

    // MARK: reboots that do not come

    @Test(arguments: [300.0, 30]) func aRebootCountsAsMissingAfterItsTimeout(seconds: Seconds) {
        var world = offered(2) { $0.policy.rebootTimeout = seconds }
        world.download()
        world.pass(1000)
        world.finishInstall(.needsReboot(isRollback: false))
        #expect(world.reboots)
        let until = world.now + seconds
        #expect(nextWakeUp(world.state, world.context) == until)
        world.now = BootInstant(until.seconds.nextDown)
        world.handle(.tick)
        #expect(world.installID != nil, "it may still come")
        world.now = until
        world.handle(.tick)
        guard case .later(let at, .rebootRefused)? = world.state.work?.step else {
            Issue.record("it is waited for without end")
            return
        }
        #expect((29.9...60.1).contains(at - world.now))
        #expect(world.state.lastErrorCode == .rebootMissing)
    }

    /// The report of the installer that it has requested the reboot starts the time again.
    @Test func theTimeoutCountsFromTheLastRequest() {
        var world = offered(2)
        world.download()
        let id = world.installID ?? 0
        world.finishInstall(.needsReboot(isRollback: false))
        world.now = world.now + 200
        world.handle(.installed(id, .rebooting))
        world.now = world.now + 200
        world.handle(.tick)
        #expect(world.state.work?.step == .rebooting(id))
        #expect(nextWakeUp(world.state, world.context) == world.now + 100)
    }
}
