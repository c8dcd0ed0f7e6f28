import Glibc
import Host
import Simulator
import Subprocess
import TestSupport
import Testing
import UpdateCore

/// Directories that are removed or emptied while the agent runs, with the right to create them again. SystemTests has the same
/// for the sandboxed service.
@Suite struct RemovedDirectoryTests {
    private let device: AgentDevice

    init() async throws { device = try await AgentDevice() }

    private var state: AgentState? {
        try? StoredFile.read(AgentState.self, from: "\(device.scratch.path)/state/state.json", limit: 4 << 20)?.value
    }

    @Test(arguments: [true, false]) func theStateIsStoredAgain(isRemoved: Bool) async throws {
        let version = try await device.publish(2)
        try await SimulatedServer.run(device.server([version])) { server async throws in
            try device.configure(server: server.url)
            let directory = "\(device.scratch.path)/state"
            try Files.createDirectory(directory)
            chmod(directory, 0o750)
            try await AgentProcess.run(device) { agent async throws in
                #expect(await agent.updates(to: 2, server))
                if isRemoved {
                    // The agent may write to it at the same time.
                    #expect(await eventually { (try? Files.removeTree(directory)) != nil })
                } else {
                    for name in try Files.list(directory) { try Files.removeTree("\(directory)/\(name)") }
                }
                #expect(await eventually { state?.history.map(\.result) == [.installed] })
                #expect(await agent.logs("state was removed or emptied"))
                #expect(try OpenFile(directory, O_RDONLY | O_DIRECTORY).status.permissions == 0o750)
                // It is locked again.
                let second = try await AgentProcess.run(device) { second in
                    #expect(await eventually { second.hasEnded })
                }
                #expect(second.end == .exited(73))
                #expect(second.log.contains { $0.contains("is in use by another upgradelinkd") })
                #expect(!agent.hasEnded)
            }
        }
    }

    /// No check is due, and the reload changes nothing in the state.
    @Test func anUnchangedStateIsStoredAgain() async throws {
        let version = try await device.publish(2, type: 1)
        try await SimulatedServer.run(device.server([version])) { server async throws in
            try device.configure(server: server.url)
            let directory = "\(device.scratch.path)/state"
            try device.scratch.write("state/identity.json", "identity")
            try await AgentProcess.run(device) { agent async throws in
                #expect(await agent.says("Waiting for consent to install v2"))
                #expect(await eventually { await server.reports("app_upgrade_download").count == 1 })
                // The second reload finds the state that the first has stored.
                for _ in 1...2 {
                    #expect(await eventually { (try? Files.removeTree(directory)) != nil })
                    kill(agent.pid, SIGHUP)
                    #expect(await eventually { state?.work?.step == .consent })
                    #expect(try device.scratch.read("state/identity.json") == "identity")
                }
                #expect(await eventually { agent.log.count { $0.contains("state was removed or emptied") } == 2 })
            }
        }
    }

    /// The service manager creates the directory, and the agent cannot: what was its parent is not there. What the agent has just
    /// been asked is not lost.
    @Test(.enabled(if: getuid() == 0, "a private system bus needs root"))
    func aLostStateIsKeptForTheNextStart() async throws {
        let version = try await device.publish(2, type: 1)
        let (scratch, policy) = (device.scratch, "\(repositoryDirectory)/packaging/dbus/org.upgradelink.Agent1.conf")
        let (parent, runtime) = ("\(scratch.path)/var", "\(scratch.path)/run")
        let directory = "\(parent)/state"
        for path in [directory, runtime] { try Files.createDirectory(path) }
        try scratch.write("var/state/identity.json", "identity")
        try await PrivateBus.run(directory: scratch.path, policies: [policy]) { bus async throws in
            try await SimulatedServer.run(device.server([version])) { server async throws in
                try device.configure(
                    server: server.url,
                    changes: "[state]\ndirectory = \"\(directory)\"\n[poll]\ninterval = \"1h\"")
                let environment = bus.environment.merging(
                    ["STATE_DIRECTORY": "/other:\(directory)", "RUNTIME_DIRECTORY": runtime]) { $1 }
                let first = try await AgentProcess.run(device, environment: environment) { agent async throws in
                    #expect(await agent.says("Waiting for consent to install v2"))
                    #expect(await eventually { await bus.property("State") == "s \"consent\"" })
                    // No other event comes before the request.
                    for event in ["app_start", "app_upgrade_download"] {
                        #expect(await eventually { await server.reports(event).count == 1 })
                    }
                    #expect(await eventually { agent.workers.isEmpty })
                    #expect(await bus.property("State") == "s \"consent\"")
                    try Files.rename(parent, to: "\(parent).gone")
                    try scratch.write("var", "")
                    // There may be no reply: the agent ends.
                    _ = try? await bus.call("Accept", "ts", "2", "now")
                    #expect(await eventually { agent.hasEnded })
                }
                #expect(first.end == .exited(73))
                #expect(first.log.contains { $0.contains("Accept by uid 0") }, "\(first.log)")
                #expect(first.log.contains { $0.contains("\(directory) was removed (") }, "\(first.log)")
                #expect(first.log.contains { $0.contains("the state is kept in \(runtime)") })
                try Files.remove(parent)
                try Files.createDirectory(directory)
                try await AgentProcess.run(device, environment: environment) { agent async throws in
                    #expect(await agent.updates(to: 2, server))
                    #expect(try Files.list(runtime) == [])
                    #expect(try scratch.read("var/state/identity.json") == "identity")
                }
            }
        }
    }

    /// The service manager creates the directory of downloads. Another start does not help if it was not there at the start.
    @Test(arguments: [true, false]) func aLostDownloadDirectoryEndsTheAgent(isLost: Bool) async throws {
        let version = try await device.publish(2)
        let parent = "\(device.scratch.path)/cache"
        let directory = "\(parent)/staging"
        if isLost { try Files.createDirectory(directory) } else { try device.scratch.write("cache", "") }
        try await SimulatedServer.run(device.server([])) { server async throws in
            try device.configure(server: server.url, changes: "[download]\ndirectory = \"\(directory)\"")
            let run = try await AgentProcess.run(device, environment: ["CACHE_DIRECTORY": directory]) {
                agent async throws in
                #expect(await agent.says("Up to date"))
                if isLost {
                    try Files.removeTree(parent)
                    try device.scratch.write("cache", "")
                }
                await server.change { $0.applications[0].versions.append(version) }
                #expect(await isLost ? eventually { agent.hasEnded } : agent.says("v2 (code 2) waits: "))
                #expect(agent.hasEnded == isLost)
            }
            #expect(run.end == .exited(isLost ? 73 : 0))
            #expect(run.log.contains { $0.contains("\(directory) was removed: the agent ends, so that") } == isLost)
        }
    }

    /// The rest of the file would have no place any more.
    @Test func aDownloadWhoseDirectoryIsRemovedStartsOver() async throws {
        let version = try await device.publish(2, ballast: 3_000_000)
        let slow = Fault(path: "/files/v2", times: 1, bytesPerSecond: 700_000)
        try await SimulatedServer.run(device.server([version], faults: [slow])) { server async throws in
            try device.configure(server: server.url)
            try await AgentProcess.run(device) { agent async throws in
                #expect(await agent.says(" % of 3.0 MB, "))
                // The worker may create a file in the meantime.
                let isRemoved = await eventually { (try? Files.removeTree("\(device.scratch.path)/staging")) != nil }
                #expect(isRemoved)
                #expect(await agent.updates(to: 2, server))
                #expect(await server.reports("app_upgrade_upgrade").count == 1)
                #expect(state?.trials.isEmpty == true)
            }
        }
    }
}
