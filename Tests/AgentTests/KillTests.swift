import Glibc
import Host
import Simulator
import TestSupport
import Testing

/// kill -9 at any moment, and a start: it goes on.
@Suite struct KillTests {
    /// The server grants the version once; whoever loses that offer never gets it.
    @Test(arguments: [1, 2, 3])
    func killedAgainAndAgainItEndsInstalledOnce(round: Int) async throws {
        let box = try await AgentBox()
        var version = try await box.publish(2, ballast: 400_000)
        version.staged = 1
        let count = "\(box.scratch.path)/installs"
        // The module counts how often it is called to install.
        try box.scratch.write(
            "modules/counting",
            "#!/bin/sh\n[ \"$1\" != ArtifactInstall ] || echo x >>\(count)\nexec \(repositoryFolder)/packaging/modules/directory \"$@\"\n",
            mode: 0o755)
        let faults = [Fault(path: "/files/v2", bytesPerSecond: 1_500_000)]
        let configuration = box.server([version], faults: faults)
        var chance = SystemRandomNumberGenerator()
        let delays = (0..<12).map { _ in Double.random(in: 0.01...0.6, using: &chance) }
        try await SimulatedServer.run(configuration) { server async throws in
            try box.configure(server: server.url, changes: "[install]\nmodule = \"counting\"\nattempts = 100")
            for delay in delays {
                try await AgentProcess.run(box) { agent async throws in
                    try await Task.sleep(for: .seconds(delay))
                    kill(agent.pid, SIGKILL)
                }
            }
            try await AgentProcess.run(box) { agent async throws in
                #expect(await agent.updates(to: 2, server), "killed after \(delays); \(agent.log)")
            }
        }
        #expect(box.runs == 2)
        #expect(try box.scratch.read("installs") == "x\n", "killed after \(delays)")
    }

    /// An installer that is at work when its agent is killed finishes, and the next agent takes its result.
    @Test func anInstallationOutlivesItsAgent() async throws {
        let box = try await AgentBox()
        let version = try await box.publish(2)
        try box.scratch.write(
            "modules/slow",
            "#!/bin/sh\n[ \"$1\" != ArtifactInstall ] || { echo x >>\(box.scratch.path)/installs; sleep 2; }\nexec \(repositoryFolder)/packaging/modules/directory \"$@\"\n",
            mode: 0o755)
        try await SimulatedServer.run(box.server([version])) { server async throws in
            try box.configure(server: server.url, changes: "[install]\nmodule = \"slow\"")
            try await AgentProcess.run(box) { agent async throws in
                #expect(await eventually { box.scratch.exists("installs") })
                kill(agent.pid, SIGKILL)
            }
            try await AgentProcess.run(box) { agent async throws in
                #expect(await agent.says("Up to date (v2, code 2)"))
            }
        }
        #expect(try box.scratch.read("installs") == "x\n")
    }

    /// A granted offer that a worker stored, whose agent died before it heard of it.
    @Test func aStoredOfferIsAdopted() async throws {
        let box = try await AgentBox()
        var version = try await box.publish(2)
        version.staged = 0
        try await SimulatedServer.run(box.server([version])) { server async throws in
            try box.configure(server: server.url)
            let offer =
                #"{"urlKey":"box","versionCode":2,"versionName":"v2","urlPath":"\#(server.url)/files/v2","upgradeType":{"silent":{}},"promptUpgradeContent":""}"#
            try box.scratch.write("state/offer.json", offer)
            try await AgentProcess.run(box) { agent async throws in
                #expect(await agent.says("Up to date (v2, code 2)"))
            }
            #expect(!box.scratch.exists("state/offer.json"))
        }
        #expect(box.runs == 2)
    }
}
