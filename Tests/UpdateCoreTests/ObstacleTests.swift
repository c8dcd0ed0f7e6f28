import Testing

@testable import UpdateCore

/// What comes between an offer and its verified file: missing, wrong and cut files, full disks, and the checks meanwhile.
@Suite struct ObstacleTests {
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

    /// A verified file starts the count anew: the installer may refuse it, and it is downloaded again then.
    @Test func aVerifiedFileIsNoWaste() {
        var world = offered(2)
        world.handle(
            .downloaded(
                versionCode: 2, .verified(World.artifact), DownloadTraffic(received: 4_000_000, size: 4_000_000)))
        #expect(world.installs)
        #expect(world.state.work?.received == 0)
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
}
