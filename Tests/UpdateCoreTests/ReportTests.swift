import Host
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
        #expect(world.state.reports.wakeUp == world.state.poll.next)
        world.poll()
        #expect(world.effects.contains { if case .send = $0 { true } else { false } })
    }

    /// While an offer waits for consent the next poll is a day away. The report of a start does not wait for it.
    @Test func aStartLongBeforeTheNextPollIsReportedWithinTheSplay() {
        var world = started
        world.poll()
        world.respond(.offer(World.offer(2, 1)))
        world.download()
        world.start()
        #expect(world.state.poll.next - world.now > 3600 * 12)
        let due = world.state.reports.entries.first { $0.report.eventType == "app_start" }?.due
        let wait = due.map { $0 - world.now } ?? 0
        #expect(wait > 0 && wait <= world.policy.schedule.splay)
    }

    /// A worker may deliver it, and its end must find it.
    @Test func aStartThatIsBeingSentStays() {
        var queue = ReportQueue()
        queue.add(Report(kind: .appStart(versionCode: 1), time: WallTime(unixSeconds: 0)))
        queue.send(1)
        queue.add(Report(kind: .appStart(versionCode: 2), time: WallTime(unixSeconds: 0)))
        queue.add(Report(kind: .appStart(versionCode: 3), time: WallTime(unixSeconds: 0)))
        #expect(queue.entries.map(\.id) == [1, 3])
    }

    @Test func noReportIsSentBeforeTheFirstPoll() {
        var queue = ReportQueue()
        queue.putOff(to: BootInstant(100))
        queue.add(Report(kind: .appStart(versionCode: 1), time: WallTime(unixSeconds: 0)), due: BootInstant(50))
        #expect(queue.wakeUp == BootInstant(100) && queue.next(BootInstant(99)) == nil)
        #expect(queue.next(BootInstant(100)) != nil)
    }

    @Test func aCrashLoopDoesNotFillTheQueue() {
        var world = started
        for _ in 0..<100 { world.start() }
        #expect(world.state.reports.entries.count == 1)
    }

    @Test func aDeliveredReportIsRemoved() {
        var world = started
        world.poll()
        world.handle(.reported(id: 1, .delivered))
        #expect(world.state.reports.isEmpty)
    }

    /// A window opens for all devices at the same time. Their reports are spread over two hours.
    @Test func anUpdateIsReportedWithinTwoHours() {
        var waits: [Seconds] = []
        for seed in 0..<200 {
            var world = started
            world.policy.schedule.splay = 21_600
            world.poll()
            world.handle(.reported(id: 1, .delivered))
            world.seed = UInt64(seed) << 20
            world.respond(.offer(World.offer(2)))
            world.download()
            world.installed = .known(versionCode: 2, versionName: nil)
            world.finishInstall(.committed)
            #expect(world.state.reports.entries.count == 2)
            waits += world.state.reports.entries.compactMap { $0.due.map { $0 - world.now } }
        }
        #expect(waits.count == 400 && waits.allSatisfy { (0...7200).contains($0) })
        #expect((0..<10).allSatisfy { tenth in waits.contains { Int($0 / 720) == tenth } })
    }

    /// After a power cut unsent reports wait for the first poll, because otherwise all devices send them at the same time.
    @Test func reportsOfAnEarlierBootWaitForTheFirstPoll() {
        var world = World()
        // The device was on for a month.
        world.now = BootInstant(2_600_000)
        world.start()
        world.poll()
        world.respond(.offer(World.offer(2)))
        world.download()
        world.bootID = "boot-2"
        world.now = BootInstant(5)
        world.start()
        #expect(world.state.reports.entries.count == 2)
        // The next poll itself is a day after the last one, because the offer waits.
        let wait = (world.state.reports.wakeUp ?? world.now) - world.now
        #expect(wait > 0 && wait <= world.policy.schedule.splay && world.state.poll.next > world.now)
        // None of them has a moment of the earlier boot.
        #expect(
            world.state.reports.entries.compactMap(\.due).allSatisfy { $0 - world.now <= world.policy.schedule.splay })
    }

    @Test func aReportThatKeepsFailingIsDroppedAfterALimitedNumberOfTries() {
        var world = started
        var tries = 0
        while !world.state.reports.isEmpty, tries < 100 {
            world.sleep()
            if world.state.poll.isRunning { world.respond(.latest) }
            if let id = world.state.reports.sending {
                tries += 1
                world.handle(.reported(id: id, .transientError(.server(status: 500, detail: "", retryAfter: nil))))
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

    /// A damaged file has a lower number than its entries: the end of one report would remove another.
    @Test func aStoredQueueGivesNoNumberTwice() throws {
        var queue = ReportQueue()
        for version in 1...3 {
            queue.add(Report(kind: .download(running: 1, version: version, code: 1), time: WallTime(unixSeconds: 0)))
        }
        let text = String(decoding: try JSONLine.encode(queue), as: UTF8.self)
        let damaged = text.replacing(#""nextID":4"#, with: #""nextID":2"#)
        #expect(damaged != text)
        var read = try JSONLine.decode(ReportQueue.self, from: Array(damaged.utf8))
        read.add(Report(kind: .download(running: 1, version: 4, code: 1), time: WallTime(unixSeconds: 0)))
        #expect(read.entries.map(\.id) == [1, 2, 3, 4])
    }

    @Test func reportsDoNotDelayAnUpdate() {
        var world = started
        world.poll()
        #expect(world.state.reports.sending != nil)
        world.respond(.offer(World.offer(2)))
        #expect(world.downloads)
    }

    @Test func reportsCarryTheServersTimeIfTheDevicesIsWrong() {
        var world = started
        world.wallClock = WallTime(unixSeconds: 60)
        world.poll()
        let clock = ServerClock(bootID: "boot-1", atBoot: 1_900_000_000)
        world.handle(.checked(CheckReport(response: .offer(World.offer(2)), serverClock: clock)))
        world.download()
        #expect((world.state.reports.entries.last?.report.time.unixSeconds ?? 0) > 1_900_000_000)
    }
}
