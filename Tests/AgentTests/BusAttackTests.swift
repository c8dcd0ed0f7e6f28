import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport
import Testing
import UpdateCore

@testable import Agent

/// A hostile client (Tests/Attacks/bus.py) on a real bus: once with the policy of the package, and once with a bus that permits
/// everything, so that the agent itself is attacked.
@Suite(.enabled(if: getuid() == 0, "a private system bus and other users on it need root"))
struct BusAttackTests {
    private let device: AgentDevice

    init() async throws {
        device = try await AgentDevice()
        chmod(device.scratch.path, 0o711)
    }

    enum Policy: CaseIterable { case shipped, open }

    private func withAgent(
        _ policy: Policy = .open, body: @Sendable (PrivateBus, AgentProcess) async throws -> Void
    ) async throws {
        let open = """
            <busconfig><policy context="default"><allow own="org.upgradelink.Agent1"/>
            <allow send_destination="org.upgradelink.Agent1"/></policy></busconfig>
            """
        try device.scratch.write("open.conf", open)
        let path =
            policy == .open
            ? "\(device.scratch.path)/open.conf" : "\(repositoryDirectory)/packaging/dbus/org.upgradelink.Agent1.conf"
        try await PrivateBus.run(directory: device.scratch.path, policies: [path]) { bus async throws in
            try await SimulatedServer.run(device.server([])) { server async throws in
                try device.configure(server: server.url)
                try await AgentProcess.run(device, environment: bus.environment) { agent async throws in
                    try #require(await agent.logs("On D-Bus as org.upgradelink.Agent1"))
                    try #require(await agent.says("Up to date"))
                    try await body(bus, agent)
                    #expect(!agent.hasEnded)
                    #expect(await eventually { (try? await bus.call("Check"))?.isSuccess == true })
                }
            }
        }
    }

    /// What the client prints.
    private func attack(_ bus: PrivateBus, _ name: String, count: Int = 1) async throws -> String {
        try await execute("python3", command(bus, name, count))
    }

    private func command(_ bus: PrivateBus, _ name: String, _ count: Int) -> [String] {
        [
            "\(repositoryDirectory)/Tests/Attacks/bus.py", String(bus.address.dropFirst("unix:path=".count)), name,
            "\(count)",
        ]
    }

    private func openFiles(_ agent: AgentProcess) throws -> Int { try Files.list("/proc/\(agent.pid)/fd").count }

    /// The most memory that the agent has had, in kB.
    private func peakMemory(_ agent: AgentProcess) throws -> Int {
        let status = String(decoding: try Files.read("/proc/\(agent.pid)/status", limit: 65_536), as: UTF8.self)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
        return try #require(Int(line.split(whereSeparator: \.isWhitespace)[1]))
    }

    @Test(arguments: Policy.allCases) func descriptorsInUnexpectedPlacesAreNotKept(policy: Policy) async throws {
        try await withAgent(policy) { bus, agent async throws in
            let before = try openFiles(agent)
            let replies = try await attack(bus, "nested", count: 20)
            // The bus refuses all messages with descriptors but InstallDescriptor; the agent without its help answers History.
            let succeeded = replies.firstMatch(of: /"": (\d+)/)?.1
            #expect(succeeded == (policy == .open ? "20" : nil), "\(replies)")
            #expect(await eventually { (try? openFiles(agent)).map { $0 <= before } == true })
        }
    }

    @Test func aLargeMessageCostsItsSizeOnly() async throws {
        try await withAgent { bus, agent async throws in
            let replies = try await attack(bus, "large")
            #expect(
                replies.matches(of: /InvalidArgs/).count + replies.matches(of: /UnknownMethod/).count >= 7, "\(replies)"
            )
            #expect(replies.contains("PropertyReadOnly"))
            // sd-bus has at most one message, and copies it while its buffer grows.
            #expect(try peakMemory(agent) < 120_000)
        }
    }

    @Test func aFloodOfCallsWithoutRightsIsRefusedAndCounted() async throws {
        try await withAgent { bus, agent async throws in
            let before = try openFiles(agent)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { _ = try await attack(bus, "flood", count: 1_500) }
                group.addTask {
                    // The operator is served during the flood, at the latest after some tries, as upgradelinkctl makes them.
                    #expect(await eventually(within: 60) { (try? await bus.call("Check"))?.isSuccess == true })
                }
                try await group.waitForAll()
            }
            #expect(await eventually { (try? openFiles(agent)).map { $0 <= before } == true })
            #expect(!agent.log.contains { $0.contains("The connection to D-Bus is lost") })
            let refusals = agent.log.filter { $0.contains("Refused") }
            #expect((1...4).contains(refusals.count), "\(refusals)")
        }
    }

    @Test func aClientThatReadsNoRepliesDoesNotMakeTheAgentGrow() async throws {
        try await withAgent { bus, agent async throws in
            _ = try await Subprocess.run(
                .name("python3"), arguments: .init(command(bus, "deaf", 25_000)), input: .inputWriter,
                output: .sequence, error: .discarded
            ) { client async throws in
                for try await line in client.standardOutput.strings() where line == "held" { break }
                #expect(await eventually(within: 120) { (try? await bus.call("Check"))?.isSuccess == true })
                try await client.standardInputWriter.finish()
            }
            #expect(try peakMemory(agent) < 60_000)
        }
    }

    @Test func theNumberOfInhibitorsIsBounded() async throws {
        try await withAgent { bus, agent async throws in
            let before = try openFiles(agent)
            let replies = try await attack(bus, "inhibit", count: 70)
            #expect(replies == "64\n{\"\": 64, \"LimitsExceeded\": 6}\n")
            #expect(await eventually { (try? openFiles(agent)).map { $0 <= before } == true })
        }
    }

    @Test func aCallIsFoundByItsInterfaceAndItsName() async throws {
        try await withAgent { bus, _ async throws in
            let replies = try await attack(bus, "headers")
            #expect(
                replies.split(separator: "\n").first ?? "" == """
                    {"no interface": "AccessDenied", "other interface": "UnknownMethod", "properties": "UnknownMethod", \
                    "no such": "UnknownMethod", "lower case": "UnknownMethod", "long": "UnknownMethod", "peer": ""}
                    """)
        }
    }

    @Test func theLogNamesTheCaller() async throws {
        try await withAgent { bus, agent async throws in
            #expect(try await bus.call("SetSpeedLimit", "t", "5000").isSuccess)
            #expect(await agent.logs("SetSpeedLimit by uid 0, pid "))
            #expect(agent.log.contains { $0.contains("(busctl)") })
            #expect(try await !bus.call("Check", user: 65534).isSuccess)
            #expect(await agent.logs("Refused Check by uid 65534, pid "))
        }
    }
}

@MainActor struct WaitingCallsTests {
    /// How many of a hundred calls may wait.
    private func count(_ begin: (Int) -> Bool) -> Int {
        var admitted = 0
        for number in 0..<100 where begin(number) { admitted += 1 }
        return admitted
    }

    @Test func callsOfOneConnectionDoNotKeepOthersWaiting() {
        var waiting = WaitingCalls()
        let admitted = count { _ in waiting.begin(connection: ":1.7") }
        let other = waiting.begin(connection: ":1.8")
        waiting.end(connection: ":1.7")
        let again = [waiting.begin(connection: ":1.7"), waiting.begin(connection: ":1.7")]
        #expect(admitted == WaitingCalls.maximumPerConnection && other)
        #expect(again == [true, false])
    }

    @Test func callsOfOneUserDoNotKeepOthersWaiting() {
        var waiting = WaitingCalls()
        let admitted = count { _ in waiting.begin(user: 1000) }
        let other = waiting.begin(user: 1001)
        waiting.end(user: 1000)
        let again = [waiting.begin(user: 1000), waiting.begin(user: 1000)]
        #expect(admitted == WaitingCalls.maximumPerUser && other)
        #expect(again == [true, false])
    }

    @Test func theNumberOfAllCallsIsBounded() {
        var waiting = WaitingCalls()
        let admitted = count { waiting.begin(connection: ":1.\($0)") }
        #expect(admitted == WaitingCalls.maximum && !waiting.mayBegin)
        waiting.end(connection: ":1.3")
        #expect(waiting.mayBegin)
        // Those that wait for polkit are counted separately: a user must not be able to keep others from being identified.
        let users = count { waiting.begin(user: UInt64($0)) }
        #expect(users == WaitingCalls.maximum && waiting.mayBegin)
    }

    @Test func refusedCallsAreCounted() {
        var refused = RefusedCalls()
        let logged = count { _ in refused.isLogged() }
        let first = refused.summary()
        let isLogged = refused.isLogged()
        let rest = [refused.summary(), refused.summary()]
        #expect(logged == 1 && first == "Refused 99 more calls on D-Bus within 60 s")
        #expect(!isLogged && rest == ["Refused 1 more calls on D-Bus within 60 s", nil])
        let isLoggedAnew = refused.isLogged()
        #expect(isLoggedAnew)
    }
}
