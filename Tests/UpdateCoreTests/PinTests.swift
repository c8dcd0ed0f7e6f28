import Testing

@testable import UpdateCore

/// `device.appointVersionCode` pins a device to a version, which may be older than the installed one.
@Suite struct PinTests {
    private func polling(installed: Int, pin: Int?) -> World {
        var world = World()
        world.installed = .known(versionCode: installed, versionName: nil)
        world.policy.appointVersionCode = pin
        world.start()
        world.poll()
        return world
    }

    @Test func theCheckNamesThePinAndTheInstalledVersion() {
        for pin in [nil, 3] {
            let world = polling(installed: 5, pin: pin)
            #expect(
                world.effects.contains(
                    .check(CheckRequest(urlKey: "device", versionCode: 5, appointVersionCode: pin))))
        }
    }

    @Test func anOlderVersionIsInstalledIfTheDeviceIsPinnedToIt() {
        var world = polling(installed: 5, pin: 3)
        world.respond(.offer(World.offer(3)))
        #expect(world.effects.contains(.download(World.offer(3))))
        world.download(3)
        #expect(world.installs)
        world.installed = .known(versionCode: 3, versionName: nil)
        world.finishInstall(.committed)
        #expect(world.state.lastCommitted == 3 && world.state.history.map(\.result) == [.installed])
        world.respond(.offer(World.offer(3)))
        #expect(world.state.work == nil && world.notices == [.offerRefused(.alreadyInstalled(3))])
    }

    @Test(arguments: [nil, 2, 4]) func withoutThatPinAnOlderVersionIsRefused(pin: Int?) {
        var world = polling(installed: 5, pin: pin)
        world.respond(.offer(World.offer(3)))
        #expect(world.state.work == nil && world.notices == [.offerRefused(.notNewer(offered: 3, installed: 5))])
        #expect(world.effects.contains(.emptyInbox(upTo: 3)))
    }

    @Test(arguments: [(2, true), (3, true), (4, false)])
    func newerVersionsAreTakenUpToThePin(code: Int, isTaken: Bool) {
        var world = polling(installed: 1, pin: 3)
        world.respond(.offer(World.offer(code)))
        #expect((world.state.work != nil) == isTaken)
        if !isTaken { #expect(world.notices == [.offerRefused(.abovePin(offered: code, pinned: 3))]) }
    }

    @Test func theInstalledVersionIsRefusedAsInstalled() {
        for (pin, committed) in [(5, nil), (nil, 5), (5, 5)] as [(Int?, Int?)] {
            var world = polling(installed: 5, pin: pin)
            world.state.lastCommitted = committed
            world.respond(.offer(World.offer(5)))
            #expect(world.notices == [.offerRefused(.alreadyInstalled(5))], "\(String(describing: pin))")
        }
        var world = polling(installed: 5, pin: nil)
        world.respond(.offer(World.offer(5)))
        #expect(world.notices == [.offerRefused(.notNewer(offered: 5, installed: 5))])
    }

    /// The operator changes the pin while a version waits for consent.
    @Test func anOfferThatThePinNoLongerAllowsIsDropped() {
        var world = polling(installed: 1, pin: nil)
        world.respond(.offer(World.offer(4, 1)))
        world.download(4)
        world.policy.appointVersionCode = 4
        world.handle(.configurationChanged)
        #expect(world.state.work?.step == .consent)
        world.policy.appointVersionCode = 3
        world.handle(.configurationChanged)
        #expect(world.state.work == nil && world.state.history.map(\.result) == [.dropped])
        #expect(world.notices == [.offerDropped(World.offer(4, 1), .abovePin(offered: 4, pinned: 3))])

        world = polling(installed: 5, pin: 3)
        world.respond(.offer(World.offer(3, 1)))
        world.download(3)
        #expect(world.state.work?.step == .consent)
        world.policy.appointVersionCode = nil
        world.handle(.configurationChanged)
        #expect(world.state.work == nil)
    }

    /// A pin is no reason to install what has failed, or what the user does not want.
    @Test func aPinnedVersionCanBeBlockedAndRejected() {
        var world = polling(installed: 5, pin: 3)
        world.state.trials = [Trial(versionCode: 3, failures: 3, reason: Reason("unhealthy", .healthCheckFailed))]
        world.respond(.offer(World.offer(3)))
        #expect(world.notices == [.offerRefused(.blocked(versionCode: 3, attempts: 3))])
        #expect(world.state.refusedVersions(world.context).map(\.versionCode) == [3], "it is shown")
        world.state.trials[0].failures = 2
        world.state.rejected = [3]
        world.respond(.offer(World.offer(3)))
        #expect(world.notices == [.offerRefused(.rejected(versionCode: 3))])
        world.state.rejected = [2, 4]
        world.respond(.offer(World.offer(3)))
        #expect(world.downloads)
    }

    @Test func anotherApplicationsOfferIsRefusedFirst() {
        var world = polling(installed: 1, pin: 2)
        world.respond(.offer(World.offer(2, urlKey: "other")))
        #expect(world.notices == [.offerRefused(.foreignUrlKey(found: "other", expected: "device"))])
        #expect(world.state.poll.next - world.now > 77_000, "only the publisher can help")
    }
}
