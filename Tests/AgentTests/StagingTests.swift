import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// What the agent keeps and removes: staged files, and offers in the inbox.
@Suite struct StagingTests {
    private let device: AgentDevice

    init() async throws { device = try await AgentDevice() }

    @Test func onlyStagedFilesOfOtherVersionsAreRemoved() async throws {
        let others = ["9.other", "x.artifact", "notes", "9", ".artifact", "9.artifact.backup"]
        let staged = ["9.artifact", "9.sidecar", "10.part", "10.part.json", "3.part.json.new"]
        for name in others + staged { try device.scratch.write("staging/\(name)", "x") }
        let version = try await device.publish(2, type: 1)
        try await SimulatedServer.run(device.server([version])) { server async throws in
            try device.configure(server: server.url)
            for _ in 1...2 {
                try await AgentProcess.run(device) { agent async throws in
                    #expect(await agent.says("Waiting for consent to install v2"))
                    #expect(await eventually { !device.scratch.exists("staging/9.artifact") })
                }
                for name in others { #expect(device.scratch.exists("staging/\(name)"), "\(name)") }
                for name in staged { #expect(!device.scratch.exists("staging/\(name)"), "\(name)") }
                #expect(device.scratch.exists("staging/2.artifact"))
            }
            #expect(await server.records.count { $0.path == "/files/v2" } == 1, "the file is not downloaded again")
        }
    }

    /// A worker of an earlier agent stored it. The server grants it once only.
    @Test func anOfferThatComesIntoTheInboxLaterIsTakenUpByTheNextCheck() async throws {
        var version = try await device.publish(2)
        version.staged = 0
        try await SimulatedServer.run(device.server([version])) { server async throws in
            try device.configure(server: server.url)
            try await AgentProcess.run(device) { agent async throws in
                #expect(await agent.says("Up to date (v1, code 1)"))
                let offer = try granted(server.url)
                _ = try Inbox("\(device.scratch.path)/state/offer.json").store(offer)
                #expect(await agent.says("Up to date (v2, code 2)"))
                #expect(!device.scratch.exists("state/offer.json"))
            }
        }
        #expect(device.runs == 2)
    }

    /// It was granted before the agent was started: it does not wait for the first check.
    @Test func anOfferInTheInboxIsTakenUpAtTheStart() async throws {
        var version = try await device.publish(2)
        version.staged = 0
        try await SimulatedServer.run(device.server([version])) { server async throws in
            try device.configure(server: server.url, changes: "[poll]\ninterval = \"10h\"\nsplay = \"10h\"")
            try Files.createDirectory("\(device.scratch.path)/state")
            _ = try Inbox("\(device.scratch.path)/state/offer.json").store(granted(server.url))
            try await AgentProcess.run(device) { agent async throws in
                #expect(await eventually { device.runs == 2 })
            }
            #expect(await server.polls == 0)
        }
    }

    private func granted(_ url: String) throws -> Offer {
        let fields = OfferFields(
            urlKey: AgentDevice.urlKey, versionName: "v2", versionCode: 2, urlPath: "\(url)/files/v2", upgradeType: 2,
            promptUpgradeContent: "")
        return try Offer(fields, respondingTo: CheckRequest(urlKey: AgentDevice.urlKey, versionCode: 1))
    }
}
