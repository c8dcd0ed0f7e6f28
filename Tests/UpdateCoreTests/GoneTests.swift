import Testing

@testable import UpdateCore

/// The limits of what comes between an offer and its file, at the value and one past it.
@Suite struct GoneTests {
    /// A device whose file has been missing for this long, after this many tries, and that is checking.
    private func missing(for seconds: Seconds, tries: Int) -> World {
        var world = offered(2)
        world.handle(.downloaded(versionCode: 2, .gone("HTTP 404")))
        world.state.work?.goneSince = world.wallClock + -seconds
        world.state.work?.obstacles = tries
        return world
    }

    @Test(
        arguments: [
            (259_200, 4, true), (259_199, 4, false), (259_200, 3, false), (2_592_000, 3, false),
        ] as [(Seconds, Int, Bool)])
    func anOfferEndsAfterThreeDaysAndFourTries(seconds: Seconds, tries: Int, ends: Bool) {
        var world = missing(for: seconds, tries: tries)
        world.respond(.latest)
        #expect((world.state.work == nil) == ends)
        #expect(world.state.history.map(\.result) == (ends ? [.gone] : []))
        #expect(world.state.lastErrorCode == .fileMissing)
        let text = "is not available: its file was missing for 3 d, and the server no longer offers it"
        #expect(world.state.lastError?.contains(text) == ends)
    }

    /// The publisher has withdrawn the version, and offers an older one. Otherwise an older one is no reason to change.
    @Test func anOlderVersionReplacesOneWhoseFileIsMissing() {
        for isMissing in [true, false] {
            var world = offered(2, 5)
            let result: DownloadResult = isMissing ? .gone("HTTP 404") : .transientError(.network("down"))
            world.handle(.downloaded(versionCode: 5, result))
            #expect(world.state.work?.isWaiting == true)
            world.respond(.offer(World.offer(4)))
            #expect(world.state.work?.offer.versionCode == (isMissing ? 4 : 5) && world.downloads == isMissing)
        }
    }

    @Test func onlyTheServersWordEndsIt() {
        for response in [CheckResponse.offer(World.offer(2)), .transientError(.network("down"))] {
            var world = missing(for: 30 * 86_400, tries: 40)
            world.respond(response)
            #expect(world.state.work != nil, "\(response)")
        }
        var world = missing(for: 30 * 86_400, tries: 40)
        world.state.work?.goneSince = nil
        world.respond(.latest)
        #expect(world.state.work != nil, "the file was there in between")
    }

    @Test func anotherResponseOfTheHostEndsTheCountAndAMissingConnectionDoesNot() {
        let results: [(DownloadResult, Bool)] = [
            (.transientError(.network("down")), true), (.transientError(.tls("expired")), true),
            (.transientError(.worker("died")), true), (.noSpace("full"), true), (.gone("HTTP 410"), true),
            (.transientError(.server(status: 503, detail: "", retryAfter: nil)), false),
            (.transientError(.rateLimited(retryAfter: nil)), false), (.transientError(.file("HTTP 403")), false),
            (.transientError(.unreadable("HTML")), false), (.refused("not what was signed"), false),
        ]
        for (result, isKept) in results {
            var world = offered(2)
            world.handle(.downloaded(versionCode: 2, .gone("HTTP 404")))
            let since = world.state.work?.goneSince
            #expect(since == world.wallClock)
            world.wallClock = world.wallClock + 60
            for _ in 0..<10 where world.state.work?.step != .downloading { world.sleep() }
            world.handle(.downloaded(versionCode: 2, result))
            #expect(world.state.work?.goneSince == (isKept ? since : nil), "\(result)")
        }
    }

    /// More than three times the file's size is waste, and so is every multiple of that.
    @Test(
        arguments: [
            (2_999_999, 1_000_000, 60.0), (3_000_000, 1_000_000, 240), (5_999_999, 1_000_000, 240),
            (6_000_000, 1_000_000, 960), (99_999, 10_000, 60), (100_000, 30_000, 240), (100_000, 0, 60),
        ] as [(ByteCount, ByteCount, Seconds)])
    func wastedDataSlowsDown(received: ByteCount, size: ByteCount, bound: Seconds) {
        var world = offered(2) { $0.policy.schedule = .standard }
        world.handle(
            .downloaded(
                versionCode: 2, .transientError(.network("cut")), DownloadTraffic(received: received, size: size)))
        guard case .later(let at, _)? = world.state.work?.step else {
            Issue.record("it does not wait")
            return
        }
        #expect((bound / 2 - 0.1...bound + 0.1).contains(at - world.now), "\(at - world.now)")
        #expect(world.state.lastError?.contains("have been received for a file of") == (bound > 60))
    }

    @Test func theTrafficIsAddedUpAndTheLargestSizeCounts() {
        var world = offered(2)
        for (received, size) in [(100, 1000), (-5, 400), (200, 2000)] as [(ByteCount, ByteCount)] {
            world.handle(
                .downloaded(
                    versionCode: 2, .transientError(.network("cut")), DownloadTraffic(received: received, size: size)))
            for _ in 0..<10 where world.state.work?.step != .downloading { world.sleep() }
        }
        #expect(world.state.work?.received == 300 && world.state.work?.fileSize == 2000)
        world.handle(.downloaded(versionCode: 2, .noSpace("full"), DownloadTraffic(received: .max, size: 0)))
        #expect(world.state.work?.received == .max)
    }

    @Test func aVerifiedFileForgetsTheObstacles() {
        var world = missing(for: 86_400, tries: 7)
        for _ in 0..<10 where world.state.work?.step != .downloading { world.sleep() }
        world.state.note(Reason("HTTP 404", .fileMissing))
        world.policy.windows = [MaintenanceWindow("02:00-02:01")].compactMap { $0 }
        world.download()
        #expect(world.notices.contains(.verified(World.offer(2), bytes: 1000)))
        #expect(world.state.work?.obstacles == 0 && world.state.work?.goneSince == nil)
        #expect(world.state.work?.obstaclesSince == nil && world.state.lastError == nil)
        #expect(
            world.state.reports.entries.last?.report.kind
                == .download(running: 1, version: 2, code: Report.Code.success))
    }

    /// A worker that was stopped may still report its end.
    @Test func theEndOfADownloadThatIsNoLongerWantedIsIgnored() {
        var world = offered(1)
        world.download()
        let before = world.state
        for result in [DownloadResult.refused("cut"), .verified(World.artifact), .gone("HTTP 404")] {
            world.handle(.downloaded(versionCode: 2, result))
            #expect(world.state == before, "it waits for consent")
            #expect(world.notices.map(\.level) == [.debug])
        }
        world = offered(2)
        world.handle(.command(.cancel))
        let step = world.state.work?.step
        world.handle(.downloaded(versionCode: 2, .verified(World.artifact)))
        #expect(world.state.work?.step == step && world.state.work?.artifact == nil)
    }

    /// The operator retries: the delays begin anew.
    @Test func aRetryForgetsTheObstacles() {
        var world = missing(for: 86_400, tries: 7)
        world.state.work?.received = 9_000_000
        world.handle(.command(.retry(versionCode: 2)))
        #expect(world.downloads && world.state.work?.obstacles == 0 && world.state.work?.received == 0)
    }

    @Test func aRebootThatIsRefusedForExactlyADayIsAnError() {
        var world = offered(2)
        world.download()
        world.finishInstall(.needsReboot(isRollback: false))
        let began = world.now
        world.finishInstall(.rebootRefused("inhibited by TV"))
        world.now = began + 86_399
        #expect(!world.state.isStuck(world.context))
        world.now = began + 86_400
        #expect(world.state.isStuck(world.context))
        world.state.work?.obstacles = 0
        #expect(!world.state.isStuck(world.context))
    }
}
