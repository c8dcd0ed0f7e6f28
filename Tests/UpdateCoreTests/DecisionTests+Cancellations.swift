import Testing

@testable import UpdateCore

/// Cancellations, acceptances and rejections across reboots.
extension DecisionTests {
    @Test func aCancelledSilentVersionStaysCancelledAcrossABoot() {
        var world = offered(2) { $0.wallClock = Self.noon }
        world.handle(.command(.cancel))
        world.pass(60)
        world.reboot(after: 3600)
        #expect(!world.downloads)
        #expect(statusText(world.state, world.context).contains("cancelled; next try"))
        world.handle(.configurationChanged)
        #expect(!world.downloads, "a reload")
        world.state.poll.awaitsClock = true
        world.handle(.tick)
        #expect(!world.downloads, "a clock that was set")
        world.reboot(after: 1.2 * Self.day)
        world.hear()
        #expect(world.downloads)
    }

    @Test func onlyTheUserEndsACancellationInItsBoot() {
        var world = offered(2) { $0.wallClock = Self.noon }
        world.handle(.command(.cancel))
        let step = world.state.work?.step
        world.handle(.configurationChanged)
        #expect(!world.downloads && world.state.work?.step == step, "a reload")
        world.state.poll.awaitsClock = true
        world.handle(.tick)
        #expect(!world.downloads && world.state.work?.step == step, "a clock that was set")
        world.start()
        #expect(!world.downloads && world.state.work?.step == step, "a restart")
    }

    @Test func aRetryEndsACancellation() {
        var world = offered(2) { $0.wallClock = Self.noon }
        world.handle(.command(.cancel))
        world.reboot(after: 3600)
        world.handle(.command(.retry(versionCode: 2)))
        #expect(world.downloads)
    }

    @Test(arguments: [true, false]) func anAcceptanceEndsACancellationOfASilentVersion(isDownloaded: Bool) {
        var world = offered(2) {
            $0.wallClock = Self.noon
            $0.policy.windows = [MaintenanceWindow("02:00-05:00")].compactMap { $0 }
        }
        if isDownloaded { world.download() }
        world.handle(.command(.cancel))
        #expect(refusal(of: .accept(versionCode: 2, .now), world.state, world.context) == nil)
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(isDownloaded ? world.installs : world.downloads)
    }

    @Test func aSilentVersionThatWaitsForItsWindowCanBeInstalledNow() {
        var world = offered(2) {
            $0.wallClock = Self.noon
            $0.policy.windows = [MaintenanceWindow("02:00-05:00")].compactMap { $0 }
        }
        #expect(refusal(of: .accept(versionCode: 2, .window), world.state, world.context) != nil, "it does already")
        world.download()
        #expect(!world.installs)
        #expect(refusal(of: .accept(versionCode: 2, .now), world.state, world.context) == nil)
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(world.installs)
        #expect(refusal(of: .accept(versionCode: 2, .now), world.state, world.context) != nil)
        world = offered(2)
        #expect(refusal(of: .accept(versionCode: 2, .now), world.state, world.context) != nil, "without windows")
    }

    @Test func aWithdrawnAcceptanceIsNotAskedAtOnceAfterABoot() {
        var world = prompted()
        world.policy.windows = [MaintenanceWindow("02:00-05:00")].compactMap { $0 }
        world.handle(.command(.accept(versionCode: 2, .window)))
        world.handle(.command(.cancel))
        world.reboot(after: 1800)
        #expect(!world.asksForConsent && world.state.work?.step == .consent)
        let isAsked = world.asks(after: 1800, within: 60)
        #expect(isAsked)
    }

    @Test func aCancelledDownloadOfAPromptedVersionStaysCancelled() {
        var world = offered(1) { $0.wallClock = Self.noon }
        world.handle(.command(.cancel))
        world.reboot(after: 3600)
        #expect(!world.downloads)
        world.state.poll.next = world.now
        world.handle(.tick)
        world.respond(.offer(World.offer(2, 1, url: "http://other.example/v")))
        #expect(!world.downloads, "also if the offer has changed")
        world.handle(.command(.accept(versionCode: 2, .now)))
        #expect(world.downloads)
    }

    @Test func aVersionThatBecomesForcedEndsACancellation() {
        var world = offered(2) { $0.wallClock = Self.noon }
        world.handle(.command(.cancel))
        world.state.poll.next = world.now
        world.handle(.tick)
        world.respond(.offer(World.offer(2, 3)))
        #expect(world.downloads)
    }

    // MARK: other decisions

    @Test func anAcceptanceForAWindowAndARejectionSurviveABoot() {
        var world = prompted()
        world.policy.windows = [MaintenanceWindow("02:00-05:00")].compactMap { $0 }
        world.handle(.command(.accept(versionCode: 2, .window)))
        world.reboot(after: 3600)
        #expect(!world.installs && !world.asksForConsent && world.state.work?.hasConsent == true)
        world.pass(14 * 3600)
        #expect(world.installs)
        world = prompted()
        world.handle(.command(.reject(versionCode: 2)))
        world.reboot(after: 3600)
        world.respond(.offer(World.offer(2, 1)))
        #expect(world.state.work == nil)
    }

    @Test func withoutAWindowTonightIsRefused() {
        let world = prompted()
        let refused = refusal(of: .accept(versionCode: 2, .window), world.state, world.context)
        #expect(refused?.description.contains("install.windows") == true)
        #expect(refused?.isInvalidArgument == false)
        #expect(refusal(of: .accept(versionCode: 2, .now), world.state, world.context) == nil)
    }

    @Test func aRebootCanBeAcceptedForTheWindow() {
        var world = offered(2) {
            $0.wallClock = Self.noon
            $0.policy.reboot = .ask
        }
        world.download()
        world.finishInstall(.needsReboot(isRollback: false))
        #expect(refusal(of: .accept(versionCode: 2, .window), world.state, world.context) != nil)
        world.policy.windows = [MaintenanceWindow("02:00-05:00")].compactMap { $0 }
        world.handle(.command(.accept(versionCode: 2, .window)))
        world.pass(3600)
        #expect(!world.reboots)
        world.pass(14 * 3600)
        #expect(world.reboots)
    }
}
