import Glibc
import Host
import Simulator
import TestSupport
import Testing

/// The agent resumes its work after kill -9 at any moment.
@Suite struct KillTests {
    /// The server grants the version once: a lost offer never comes again.
    @Test(arguments: [1, 2, 3])
    func anUpdateIsInstalledOnceAlthoughTheAgentIsKilledManyTimes(round: Int) async throws {
        let device = try await AgentDevice()
        var version = try await device.publish(2, ballast: 400_000)
        version.staged = 1
        let count = "\(device.scratch.path)/installs"
        // The module counts how often it is called to install.
        try device.scratch.write(
            "modules/counting",
            "#!/bin/sh\n[ \"$1\" != ArtifactInstall ] || echo x >>\(count)\nexec \(modulesDirectory)/directory \"$@\"\n",
            mode: 0o755)
        let faults = [Fault(path: "/files/v2", bytesPerSecond: 1_500_000)]
        let configuration = device.server([version], faults: faults)
        var chance = SystemRandomNumberGenerator()
        let delays = (0..<12).map { _ in Double.random(in: 0.01...0.6, using: &chance) }
        try await SimulatedServer.run(configuration) { server async throws in
            try device.configure(server: server.url, changes: "[install]\nmodule = \"counting\"\nattempts = 100")
            for delay in delays {
                try await AgentProcess.run(device) { agent async throws in
                    try await Task.sleep(for: .seconds(delay))
                    kill(agent.pid, SIGKILL)
                }
            }
            try await AgentProcess.run(device) { agent async throws in
                #expect(await agent.updates(to: 2, server), "killed after \(delays); \(agent.log)")
            }
        }
        #expect(device.runs == 2)
        #expect(try device.scratch.read("installs") == "x\n", "killed after \(delays)")
    }

    /// If the agent is killed during an installation, the installer finishes, and the next agent takes its result.
    @Test func anInstallationContinuesWithoutItsAgent() async throws {
        let device = try await AgentDevice()
        let version = try await device.publish(2)
        try device.scratch.write(
            "modules/slow",
            "#!/bin/sh\n[ \"$1\" != ArtifactInstall ] || { echo x >>\(device.scratch.path)/installs; sleep 2; }\nexec \(modulesDirectory)/directory \"$@\"\n",
            mode: 0o755)
        try await SimulatedServer.run(device.server([version])) { server async throws in
            try device.configure(server: server.url, changes: "[install]\nmodule = \"slow\"")
            try await AgentProcess.run(device) { agent async throws in
                #expect(await eventually { device.scratch.exists("installs") })
                kill(agent.pid, SIGKILL)
            }
            try await AgentProcess.run(device) { agent async throws in
                #expect(await agent.says("Up to date (v2, code 2)"))
            }
        }
        #expect(try device.scratch.read("installs") == "x\n")
    }

    /// A worker stored a granted offer, and the agent was killed before it received it.
    @Test func aStoredOfferIsAdopted() async throws {
        let device = try await AgentDevice()
        var version = try await device.publish(2)
        version.staged = 0
        try await SimulatedServer.run(device.server([version])) { server async throws in
            try device.configure(server: server.url)
            let offer =
                #"{"urlKey":"device","versionCode":2,"versionName":"v2","urlPath":"\#(server.url)/files/v2","upgradeType":{"silent":{}},"promptUpgradeContent":""}"#
            try device.scratch.write("state/offer.json", offer)
            try await AgentProcess.run(device) { agent async throws in
                #expect(await agent.says("Up to date (v2, code 2)"))
            }
            #expect(!device.scratch.exists("state/offer.json"))
        }
        #expect(device.runs == 2)
    }
}
