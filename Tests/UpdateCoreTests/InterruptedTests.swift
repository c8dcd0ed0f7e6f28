import FoundationEssentials
import Testing

@testable import UpdateCore

/// An installation that ends for a reason that is not the version's fault.
@Suite struct InterruptedTests {
    private func upgradeReports(_ world: World) -> Int {
        world.state.reports.entries.count { if case .upgrade = $0.report.kind { true } else { false } }
    }

    /// Sleeps until something is installed or downloaded.
    private func sleep(_ world: inout World) {
        for _ in 0..<20 where !world.installs && !world.downloads {
            world.sleep()
            if world.state.poll.isRunning { world.respond(.latest) }
        }
    }

    /// The power-off of an evening, again and again.
    @Test func anInterruptionCountsNothingAndIsTriedAgainSoon() {
        var world = offered(1) { $0.policy.schedule = .standard }
        world.download()
        world.handle(.command(.accept(versionCode: 2, .now)))
        for evening in 2...12 {
            let id = world.installID
            world.bootID = "boot-\(evening)"
            world.now = BootInstant(10)
            world.start()
            world.finishInstall(.interrupted("the system was shut down"))
            let status = statusText(world.state, world.context)
            #expect(status.contains("the installation was interrupted: the system was shut down"), "\(status)")
            guard case .later(let at, .interrupted)? = world.state.work?.step else {
                Issue.record("it does not wait")
                return
            }
            if evening == 2 { #expect(at - world.now <= 60) }
            sleep(&world)
            #expect(world.installs && world.installID != id, "with the same file and consent")
        }
        #expect(world.state.trials.isEmpty)
        #expect(upgradeReports(world) == 0)
        #expect(world.state.history.map(\.result) == [.interrupted], "one entry, not one for each time")
        world.installed = .known(versionCode: 2, versionName: "v2")
        world.finishInstall(.committed)
        #expect(world.state.history.map(\.result) == [.interrupted, .installed])
        #expect(upgradeReports(world) == 1)
    }

    @Test func theOperatorHastensTheNextTry() {
        var world = offered(2)
        world.download()
        world.finishInstall(.interrupted("dpkg is locked"))
        world.handle(.command(.retry(versionCode: 2)))
        #expect(world.installs)
    }

    // MARK: the staged file

    /// Somewhere a program empties the cache.
    @Test(arguments: [InstallResult.artifactLost("cannot open /c/2.artifact: No such file or directory"), .unknown])
    func aLostFileIsDownloadedAgain(result: InstallResult) {
        var world = offered(2)
        world.download()
        var waits: [Seconds] = []
        for round in 0..<6 {
            if result == .unknown { world.state.work?.artifact = nil }
            let before = world.now
            world.finishInstall(result)
            #expect(!world.installs)
            if round == 0 { #expect(world.downloads) }
            sleep(&world)
            #expect(world.downloads && world.state.work?.artifact == nil)
            waits.append(world.now - before)
            world.download()
            #expect(world.installs)
        }
        #expect(waits[0] == 0 && waits[1] > 0 && waits[5] > waits[1], "\(waits)")
        #expect(world.state.trials.isEmpty && world.state.history.isEmpty)
        #expect(upgradeReports(world) == 0)
        // A result of the installer shows that the file was there: the next loss is the first one.
        world.finishInstall(.interrupted("off"))
        sleep(&world)
        world.finishInstall(.artifactLost("gone"))
        #expect(world.downloads)
    }

    @Test func aLostFileOfAPromptVersionKeepsTheConsent() {
        var world = offered(1)
        world.download()
        world.handle(.command(.accept(versionCode: 2, .now)))
        world.finishInstall(.artifactLost("gone"))
        #expect(world.downloads)
        world.download()
        #expect(world.installs)
    }

    /// The user must give it again.
    @Test func aLostLocalFileEndsWithoutAFailure() {
        var world = World()
        world.start()
        world.handle(.fileOffered(Offer(file: "usb", urlKey: "device", versionCode: 2), World.artifact))
        #expect(world.installs)
        world.finishInstall(.artifactLost("gone"))
        #expect(world.state.work == nil && world.state.trials.isEmpty)
        #expect(world.state.history.map(\.result) == [.gone])
        #expect(world.state.lastError?.contains("give it again") == true)
    }

    /// The installer lost its directory while the installation waited for the reboot, and the version is what the device reports.
    @Test func aVersionThatIsInstalledWithoutARecordIsCommitted() {
        var world = offered(2)
        world.download()
        let id = world.installID ?? 0
        world.finishInstall(.needsReboot(isRollback: false))
        world.installed = .known(versionCode: 2, versionName: "v2")
        world.handle(.installed(id, .unknown))
        #expect(world.state.work == nil && world.state.trials.isEmpty)
        #expect(world.state.history.map(\.result) == [.installed])
    }

    /// The record is lost, and the device still reports the old version: the installation begins again, and is waited for.
    @Test func anInstallationWithoutARecordBeginsAgain() {
        var world = offered(2)
        world.download()
        let id = world.installID ?? 0
        world.finishInstall(.needsReboot(isRollback: false))
        world.handle(.installed(id, .unknown))
        #expect(world.installs && world.state.work?.step == .installing(id))
    }

    /// A damaged state must not end the agent.
    @Test(arguments: [Int.max, Int.min]) func storedCountsAreBounded(count: Int) throws {
        var world = offered(2)
        world.download()
        guard case .installing(let id)? = world.state.work?.step else {
            Issue.record("nothing is installed")
            return
        }
        world.state.work?.obstacles = count
        world.state.work?.artifactLosses = count
        world.state.poll.outcome = .failing(failures: count)
        world.state = try JSONDecoder().decode(AgentState.self, from: JSONEncoder().encode(world.state))
        world.handle(.installed(id, .artifactLost("removed")))
        #expect(world.state.work?.artifact == nil)
        world.handle(.checked(CheckReport(response: .transientError(.network("down")))))
        #expect((1...1_000_001).contains(world.state.poll.failures))
    }
}
