import Testing

@testable import UpdateCore

@Suite struct ReportTests {
    private var started: World {
        var world = World()
        world.start()
        return world
    }

    @Test func aStartIsReportedWithTheFirstPollAndNotBefore() {
        var world = started
        #expect(world.state.reports.entries.map(\.report.kind) == [.appStart(versionCode: 1)])
        #expect(world.state.reports.notBefore >= world.state.poll.next)
        world.poll()
        #expect(world.effects.contains { if case .send = $0 { true } else { false } })
    }

    /// While an offer waits for consent the next poll is a day away; what happened meanwhile is told sooner.
    @Test func aStartLongBeforeTheNextPollIsSplayedByItself() {
        var world = started
        world.poll()
        world.answer(.offer(World.offer(2, 1)))
        world.download()
        world.start()
        #expect(world.state.poll.next - world.now > 3600 * 12)
        let wait = world.state.reports.notBefore - world.now
        #expect(wait > 0 && wait <= world.policy.schedule.splay)
    }

    @Test func aCrashLoopDoesNotFillTheQueue() {
        var world = started
        for _ in 0..<100 { world.start() }
        #expect(world.state.reports.entries.count == 1)
    }

    @Test func aDeliveredReportIsGone() {
        var world = started
        world.poll()
        world.handle(.reported(id: 1, .delivered))
        #expect(world.state.reports.isEmpty)
    }

    @Test func aReportThatKeepsFailingIsDroppedAfterBoundedTries() {
        var world = started
        var tries = 0
        while !world.state.reports.isEmpty, tries < 100 {
            world.sleep()
            if world.state.poll.isRunning { world.answer(.latest) }
            if let id = world.state.reports.sending {
                tries += 1
                world.handle(.reported(id: id, .trouble(.server(status: 500, detail: "", retryAfter: nil))))
            }
        }
        #expect(tries == ReportQueue.maximumTries)
        #expect(world.notices.contains { if case .reportDropped = $0 { true } else { false } })
    }

    @Test func theQueueIsBounded() {
        var queue = ReportQueue()
        for version in 1...100 {
            queue.add(Report(kind: .download(running: 1, version: version, code: 1), time: WallTime(unixSeconds: 0)))
        }
        #expect(queue.entries.count == ReportQueue.capacity)
        #expect(queue.entries.last?.report.kind == .download(running: 1, version: 100, code: 1))
    }

    @Test func reportsDoNotHoldAnUpdateUp() {
        var world = started
        world.poll()
        #expect(world.state.reports.sending != nil)
        world.answer(.offer(World.offer(2)))
        #expect(world.downloads)
    }

    @Test func reportsCarryTheServersTimeWhereTheBoxesIsWrong() {
        var world = started
        world.wallClock = WallTime(unixSeconds: 60)
        world.poll()
        let clock = ServerClock(bootID: "boot-1", atBoot: 1_900_000_000)
        world.handle(.asked(AskReport(answer: .offer(World.offer(2)), serverClock: clock)))
        world.download()
        #expect((world.state.reports.entries.last?.report.time.unixSeconds ?? 0) > 1_900_000_000)
    }
}
