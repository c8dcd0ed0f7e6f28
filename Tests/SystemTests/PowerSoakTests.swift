import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

extension SystemTests.Power.PowerLossTests {
    /// The seed of the moments; set by `make soak`, which prints it.
    static let soakSeed = getenv("UPGRADELINKD_SOAK").flatMap { UInt64(String(cString: $0)) }

    /// Thirty moments of an update that takes some ten seconds.
    static let randomMoments: [Double] = {
        var chance = Chance(seed: soakSeed ?? 0)
        return (0..<30).map { _ in Double.random(in: 0.1...11, using: &chance) }
    }()

    @Test(.enabled(if: soakSeed != nil, "thirty random moments take ten minutes: make soak"), arguments: randomMoments)
    func aPowerCutLosesNothing(after seconds: Double) async throws {
        let moment = Moment(name: "after \(seconds) s", reached: { _ in true })
        try await Container(.ext4).run { container async throws in
            let fixture = try await prepare(container, moment)
            var left = seconds
            var isFirst = true
            var wasOffered = false
            while left > 0 {
                let isFirstBoot = isFirst
                let wait = left
                let (used, offered) = try await container.boot { machine async throws in
                    if isFirstBoot {
                        try await machine.run("systemctl", "enable", "sim", "upgradelinkd")
                        sync()
                        try await machine.run("systemctl", "start", "sim", "upgradelinkd")
                    }
                    let start = Clock.bootTime
                    while Clock.bootTime - start < wait, machine.isRunning { usleep(2000) }
                    guard machine.isRunning else { return (Clock.bootTime - start, false) }
                    let state = container.read("var/lib/upgradelinkd/state.json")
                    let isOffered =
                        Files.exists("\(container.root)/var/lib/upgradelinkd/offer.json") || state.contains("\"work\"")
                        || state.contains("\"versionCode\":2")
                    try container.cutPower(machine)
                    return (wait, isOffered)
                }.value
                left -= used
                isFirst = false
                wasOffered = wasOffered || offered
                // A reboot of the device may have taken the rest of the time.
                if left < 0.05 { break }
            }
            try await container.restorePower()
            // The server does not send an offer a second time.
            if wasOffered { try fixture.offer([]) }
            try await runToTheEnd(container, fixture)
            #expect(fixture.states.contains("ArtifactCommit Cleanup"), "\(fixture.states)")
        }
    }
}
