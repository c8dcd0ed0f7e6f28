import FoundationEssentials
import Host
import Testing

@testable import UpdateCore

/// Times after 2038 and sizes of more than 32 bits: in states, windows, polls, texts and metrics.
@Suite struct LateDateTests {
    struct Late: Sendable, CustomTestStringConvertible {
        let unixSeconds: Seconds
        let text: String
        /// Of the next 03:00 UTC on a Sunday.
        let sunday: Seconds
        /// How the status shows it: a duration after more than six days, and after the year 5138, whose dates are not shown.
        let untilSunday: String
        var time: WallTime { WallTime(unixSeconds: unixSeconds) }
        var testDescription: String { text }
    }

    static let dates = [
        Late(
            unixSeconds: 2_147_483_647, text: "2038-01-19 03:14", sunday: 2_147_914_800, untilSunday: "on Sun at 03:00"),
        Late(
            unixSeconds: 2_147_483_648, text: "2038-01-19 03:14", sunday: 2_147_914_800, untilSunday: "on Sun at 03:00"),
        Late(unixSeconds: 2_208_988_800, text: "2040-01-01 00:00", sunday: 2_208_999_600, untilSunday: "at 03:00"),
        Late(
            unixSeconds: 4_102_444_800, text: "2100-01-01 00:00", sunday: 4_102_628_400, untilSunday: "on Sun at 03:00"),
        Late(
            unixSeconds: 4_107_542_400, text: "2100-03-01 00:00", sunday: 4_108_071_600, untilSunday: "on Sun at 03:00"),
        Late(unixSeconds: 4_294_967_296, text: "2106-02-07 06:28", sunday: 4_295_559_600, untilSunday: "in 6 d 21 h"),
        Late(unixSeconds: 253_402_214_400, text: "an unknown time", sunday: 253_402_398_000, untilSunday: "in 2 d 3 h"),
    ]

    private func world(_ date: Late) -> World {
        var world = World()
        world.wallClock = date.time
        return world
    }

    @Test(arguments: dates) func aDateIsShown(date: Late) {
        #expect(world(date).context.date(date.time) == date.text)
    }

    @Test(arguments: dates) func aWindowOpensOnItsDay(date: Late) throws {
        let windows = [try #require(MaintenanceWindow("Sun 03:00-05:00"))]
        let opens = WallTime(unixSeconds: date.sunday)
        #expect(windows.nextOpening(after: date.time, .utc) == opens)
        #expect(windows.isOpen(at: opens, .utc) && windows.isOpen(at: opens + 7199, .utc))
        #expect(!windows.isOpen(at: opens + -1, .utc) && !windows.isOpen(at: opens + 7200, .utc))
    }

    /// The clock shows a late date: the agent polls, updates, and stores what it did.
    @Test(arguments: dates) func anUpdateIsRecordedAtItsTime(date: Late) throws {
        var world = world(date)
        world.start()
        world.poll()
        world.respond(.offer(World.offer(2)))
        world.download()
        world.installed = .known(versionCode: 2, versionName: "v2")
        world.finishInstall(.committed)
        let attempt = try #require(world.state.history.last)
        #expect(attempt.result == .installed && attempt.ended == date.time)
        #expect(world.state.poll.lastResponse == date.time)
        // The next poll is within an interval.
        #expect(
            try #require(nextWakeUp(world.state, world.context)) - world.now <= 1.1 * world.policy.schedule.interval)

        let read = try JSONLine.decode(AgentState.self, from: JSONLine.encode(world.state))
        #expect(read.history == world.state.history && read.poll.lastResponse == date.time)

        var sources = MetricSources(started: world.now)
        let lines = metrics(read, world.context, &sources).map(\.text).joined()
        let number = Int64(date.unixSeconds)
        #expect(lines.contains("\nupgradelink_last_successful_poll_timestamp_seconds \(number)\n"), "\(lines)")
        #expect(lines.contains("\nupgradelink_last_result_timestamp_seconds \(number)\n"), "\(lines)")
        #expect(lines.contains("\nupgradelink_start_time_seconds \(number)\n"), "\(lines)")
    }

    /// The server's time is later than a wrong clock shows, in this boot.
    @Test(arguments: dates) func theServersTimeCounts(date: Late) throws {
        var world = World()
        world.wallClock = WallTime(unixSeconds: 10)
        world.state.bootID = world.bootID
        world.state.serverClock = ServerClock(bootID: world.bootID, atBoot: date.unixSeconds - world.now.seconds)
        #expect(world.context.knownTime(world.state) == date.time)
        let read = try JSONLine.decode(AgentState.self, from: JSONLine.encode(world.state))
        #expect(world.context.knownTime(read) == date.time)
        #expect(world.context.when(world.now + (date.sunday - date.unixSeconds), read) == date.untilSunday)
    }

    // MARK: sizes

    @Test(
        arguments: [
            (5_368_709_120, "5.4 GB", "5 GiB"), (1 << 40, "1100 GB", "1 TiB"), (ByteCount.max, nil, nil),
        ] as [(ByteCount, String?, String?)])
    func aSizeIsShown(size: ByteCount, decimal: String?, binary: String?) {
        if let decimal { #expect(describe(bytes: size) == decimal) }
        if let binary { #expect(describe(configuredSize: size) == binary) }
        #expect(!describe(bytes: size).isEmpty && !describe(configuredSize: size).isEmpty)
        #expect(!describe(bytes: -size).isEmpty && !describe(configuredSize: -size).isEmpty)
    }

    /// Downloads of more than 4 GiB are counted, stored and shown.
    @Test func aLargeDownloadIsCounted() throws {
        var world = offered(2)
        let half: ByteCount = 3 << 30
        for count in 1...2 {
            world.handle(
                .downloaded(
                    versionCode: 2, .transientError(.network("lost")), DownloadTraffic(received: half, size: 2 * half)))
            #expect(world.state.work?.received == ByteCount(count) * half)
            for _ in 0..<50 where !world.downloads { world.sleep() }
        }
        let read = try JSONLine.decode(AgentState.self, from: JSONLine.encode(world.state))
        #expect(read.work?.received == 2 * half && read.work?.fileSize == 2 * half)
        var counters = MetricCounters()
        counters.add(DownloadTraffic(received: .max))
        counters.add(DownloadTraffic(received: 1))
        #expect(counters.downloadedBytes == .max)
        let progress = DownloadProgress(received: .max, total: .max, rate: .max)
        #expect(progress.received == 1 << 50)
        #expect(statusLine(of: world, progress).contains("100 %"))
    }

    private func statusLine(of world: World, _ progress: DownloadProgress) -> String {
        var world = world
        for _ in 0..<50 where world.state.work?.step != .downloading { world.sleep() }
        return statusText(world.state, world.context, progress: progress)
    }

    /// An installation's number has 53 bits.
    @Test func anInstallationsNumberIsKept() throws {
        var ids: Set<InstallID> = []
        for seed in 1...20 as ClosedRange<UInt64> {
            var world = World()
            world.seed = seed
            world.start()
            world.poll()
            world.respond(.offer(World.offer(2)))
            world.download()
            let id = try #require(world.installID)
            #expect(id > 0 && id <= (1 as Int64) << 53)
            let read = try JSONLine.decode(AgentState.self, from: JSONLine.encode(world.state))
            #expect(read.work?.step == .installing(id))
            ids.insert(id)
        }
        #expect(ids.contains { $0 > Int64(Int32.max) })
    }
}
