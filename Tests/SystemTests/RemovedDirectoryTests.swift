import Host
import TestSupport
import Testing

extension SystemTests.Packages {
    /// Directories that are removed or emptied while the agent runs in its sandbox, where it cannot create them.
    @Suite struct RemovedDirectoryTests {
        private static let removals = [
            "rm -rf /var/lib/upgradelinkd", "rm -rf /var/lib/upgradelinkd/*", "rm -rf /var/cache/upgradelinkd",
            "rm -rf /var/cache/upgradelinkd/*", "rm -rf /var/lib/upgradelink-installer",
            "rm -rf /var/lib/upgradelinkd /var/cache/upgradelinkd /var/lib/upgradelink-installer",
        ]

        /// A downloaded version waits for consent meanwhile: it is installed, nothing is counted, and the history stays.
        @Test func aRemovedDirectoryIsCreatedAgain() async throws {
            try await Container().run { container async throws in
                let versions = Self.removals.indices.map { (code: 2 + $0, type: 1) }
                let fixture = try await DeviceFixture(container, versions: versions)
                try await container.boot { machine async throws in
                    for (version, removal) in zip(versions, Self.removals) {
                        let code = version.code
                        try fixture.offer([version])
                        try await machine.run("systemctl", "restart", "sim")
                        if code == 2 { try await machine.run("systemctl", "start", "upgradelinkd") }
                        #expect(
                            await eventually(within: 60) {
                                _ = try? await machine.run("upgradelinkctl", "check")
                                return await machine.property("StatusText").contains(
                                    "Waiting for consent to install v\(code) ")
                            })
                        _ = await machine.shell(removal)
                        // The agent notices it with the next event.
                        let isInstalled = await eventually(within: 60) {
                            _ = try? await machine.run("upgradelinkctl", "accept")
                            return await machine.property("StatusText").contains("Up to date (v\(code), code \(code))")
                        }
                        let journal = await machine.journal("-o cat -n 40")
                        #expect(isInstalled, "\(removal):\n\(journal)")
                        let modes = await machine.shell(
                            "cd /var; stat -c '%a %U' lib/upgradelinkd cache/upgradelinkd lib/upgradelink-installer")
                        #expect(modes == "700 upgradelinkd\n700 upgradelinkd\n700 root", "\(removal): \(modes)")
                        #expect(await machine.has("/var/lib/upgradelinkd/state.json"))
                        #expect(await machine.has("/var/lib/upgradelinkd/lock"))
                        #expect(await eventually(within: 60) { fixture.reports(of: code) == [0] }, "\(removal)")
                    }
                    let history = await machine.shell("upgradelinkctl history")
                    let results = history.matches(of: /installed {2}v(\d+) \(/).compactMap { Int($0.1) }
                    #expect(results == versions.map(\.code).reversed(), "\(history)")
                    let journal = await machine.journal("-u upgradelinkd -o cat")
                    #expect(journal.contains("/var/lib/upgradelinkd was removed ("))
                    #expect(journal.contains("/var/lib/upgradelinkd was removed or emptied; "))
                    #expect(journal.contains("/var/cache/upgradelinkd was removed: "))
                    // Once for the state, once for the cache, and once or twice for both.
                    let restarts = Int(await machine.property("NRestarts")) ?? 0
                    #expect((3...4).contains(restarts), "\(restarts) restarts")
                }
            }
        }
    }
}
