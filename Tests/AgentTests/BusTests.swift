import Agent
import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport
import Testing
import UpdateCore

/// The agent on a real dbus-daemon; busctl and gdbus are the clients.
@Suite(.enabled(if: getuid() == 0, "a private system bus and other users on it need root"))
struct BusTests {
    let device: AgentDevice
    let policy = "\(repositoryDirectory)/packaging/dbus/org.upgradelink.Agent1.conf"

    init() async throws {
        device = try await AgentDevice()
        // Other users must be able to reach the socket.
        chmod(device.scratch.path, 0o711)
    }

    func withAgent<Value: Sendable>(
        _ versions: [Version] = [], faults: [Fault] = [], changes: String = "", environment: [String: String] = [:],
        body: @Sendable (PrivateBus, AgentProcess, RunningServer) async throws -> Value
    ) async throws -> Value {
        try await PrivateBus.run(directory: device.scratch.path, policies: [policy]) { bus async throws in
            try await SimulatedServer.run(device.server(versions, faults: faults)) { server async throws in
                try device.configure(server: server.url, changes: changes)
                return try await AgentProcess.run(
                    device, environment: bus.environment.merging(environment) { $1 }
                ) { agent async throws in
                    #expect(await agent.logs("On D-Bus as org.upgradelink.Agent1"))
                    return try await body(bus, agent, server)
                }.value
            }
        }
    }

    // MARK: a prompt update from announcement to commit

    @Test func aPromptUpdateIsControlledOverDBus() async throws {
        var version = try await device.publish(2, type: 1)
        version.promptUpgradeContent = "Better in every way"
        try await withAgent([version]) { bus, _, _ async throws in
            #expect(await eventually { await bus.property("State") == "s \"consent\"" })
            let offer = await bus.property("Offer") ?? ""
            let text = #""upgradeType" s "prompt" "text" s "Better in every way" "size" t 1"#
            #expect(offer.hasPrefix(#"a{sv} 6 "versionCode" t 2 "versionName" s "v2" "# + text), "\(offer)")
            #expect(offer.hasSuffix(#" "source" s "server""#))
            #expect(await bus.property("DeferralsLeft") == "u 3")
            #expect(try await bus.call("Defer", "tt", "2", "3600").isSuccess)
            #expect(await bus.property("DeferralsLeft") == "u 2")
            #expect(try await bus.call("Accept", "ts", "2", "now").isSuccess)
            #expect(await eventually { await bus.property("InstalledVersion") == "(ts) 2 \"v2\"" })
            #expect(await eventually { await bus.property("State") == "s \"idle\"" })
            let history = try await bus.call("History").output
            #expect(
                history.hasPrefix(#"aa{sv} 1 10 "versionCode" t 2 "versionName" s "v2" "upgradeType" s "prompt" "#)
                    && history.hasSuffix(
                        #" "result" s "installed" "reason" s "" "reasonCode" s "" "source" s "server""#),
                "\(history)")
            #expect(await bus.property("Offer") == "a{sv} 0")
        }
        #expect(device.runs == 2)
    }

    /// The agent's signals, as gdbus prints them, up to the line of which `isLast` says so.
    func signals(
        on bus: PrivateBus, until isLast: @Sendable (String) async throws -> Bool
    ) async throws -> [String] {
        try await Subprocess.run(
            .name("gdbus"),
            arguments: ["monitor", "--address", bus.address, "--dest", "org.upgradelink.Agent1"],
            input: .none, output: .sequence, error: .discarded
        ) { monitor async throws in
            var lines: [String] = []
            for try await line in monitor.standardOutput.strings() {
                lines.append(line)
                if try await isLast(line) { try monitor.send(signal: .terminate) }
            }
            return lines
        }.closureResult
    }

    @Test func signalsReportEachChange() async throws {
        var version = try await device.publish(2, type: 1)
        version.promptUpgradeContent = "Better"
        let prompt = version
        try await withAgent(changes: "[install]\ngracePeriod = \"1s\"") { bus, _, server async throws in
            let output = try await signals(on: bus) { line async throws in
                if line.contains("is owned by") {
                    await server.change { $0.applications[0].versions.append(prompt) }
                }
                if line.contains("Agent1.ConsentRequested (uint64 2") {
                    #expect(try await bus.call("Accept", "ts", "2", "now").isSuccess)
                }
                if line.contains("Agent1.Finished (uint64 2") {
                    let forced = try await device.publish(3, type: 3)
                    await server.change { $0.applications[0].versions.append(forced) }
                }
                return line.contains("Agent1.Finished (uint64 3")
            }.joined(separator: "\n")
            #expect(output.contains("Agent1.ConsentRequested (uint64 2, 'v2', 'Better')"))
            #expect(output.contains("Agent1.Finished (uint64 2, 'v2', 'installed', '', '')"))
            #expect(output.contains("Agent1.InstallPending (uint64 3, 'v3', uint64 "))
            #expect(output.contains("PropertiesChanged ('org.upgradelink.Agent1', {"))
            #expect(output.contains("'State': <'installing'>"))
        }
        #expect(device.runs == 3)
    }

    // MARK: access rights

    @Test func everyUserMayReadAndOnlySomeMayModify() async throws {
        let version = try await device.publish(2, type: 1)
        try await withAgent([version]) { bus, _, _ async throws in
            #expect(await eventually { await bus.property("State") == "s \"consent\"" })
            #expect(await bus.property("State", user: 65534) == "s \"consent\"")
            #expect(try await bus.call("History", user: 65534).isSuccess)
            let calls: [[String]] = [
                ["Check"], ["Accept", "ts", "2", "now"], ["Defer", "tt", "2", "3600"], ["Reject", "t", "2"], ["Cancel"],
                ["Retry", "t", "2"], ["InstallFile", "s", "/etc/passwd"], ["Inhibit", "sss", "install", "w", "y"],
                ["SetSpeedLimit", "t", "5"],
            ]
            for call in calls {
                let result = try await bus.busctl(
                    ["call", "org.upgradelink.Agent1", "/org/upgradelink/Agent1", "org.upgradelink.Agent1"] + call,
                    user: 65534)
                #expect(!result.isSuccess && result.error.contains("Access denied"), "\(call)")
            }
            #expect(await bus.property("State") == "s \"consent\"")
        }
    }

    /// The bus reports the groups of the caller's process. The group `upgradelink` is in a database of the test.
    @Test func aMemberOfTheGroupMayModify() async throws {
        try device.scratch.write("group", "upgradelink:x:4242:\n", mode: 0o644)
        try device.scratch.write("passwd", "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n", mode: 0o644)
        let wrapper = [
            "LD_PRELOAD": "libnss_wrapper.so", "NSS_WRAPPER_GROUP": "\(device.scratch.path)/group",
            "NSS_WRAPPER_PASSWD": "\(device.scratch.path)/passwd",
        ]
        try await withAgent(environment: wrapper) { bus, _, _ async throws in
            #expect(try await bus.call("Check", user: 65534).error.contains("Access denied"))
            #expect(try await bus.call("Check", user: 65534, group: 4242).isSuccess)
        }
    }

    /// If polkit runs, it decides about all other users. The test has its own rules, in a mount namespace.
    @Test func polkitMayAllowOtherUsers() async throws {
        let directory = device.scratch.path
        try device.scratch.write(
            "rules/10.rules",
            "polkit.addRule(function(a, s) { if (a.id == 'org.upgradelink.manage' && s.user == 'nobody') return 'yes'; });",
            mode: 0o644)
        for name in ["rules", "actions"] {
            try Files.createDirectory("\(directory)/\(name)")
            chmod("\(directory)/\(name)", 0o755)
        }
        try await execute(
            "cp", ["\(repositoryDirectory)/packaging/polkit/org.upgradelink.policy", "\(directory)/actions/"])
        let policies = try await execute(
            "sh",
            [
                "-c",
                "ls /usr/share/dbus-1/system.d/org.freedesktop.PolicyKit1.conf /etc/dbus-1/system.d/org.freedesktop.PolicyKit1.conf 2>/dev/null || true",
            ])
        let paths = policies.split(separator: "\n").map(String.init)
        try await PrivateBus.run(directory: directory, policies: [policy] + paths) { bus async throws in
            try await SimulatedServer.run(device.server([])) { server async throws in
                try device.configure(server: server.url)
                let script =
                    "mount --bind \(directory)/actions /usr/share/polkit-1/actions && mount --bind \(directory)/rules /etc/polkit-1/rules.d"
                    + " && mount --bind \(directory)/rules /usr/share/polkit-1/rules.d && exec /usr/lib/polkit-1/polkitd --no-debug"
                let polkit = try await Subprocess.run(
                    .name("unshare"), arguments: ["-m", "sh", "-c", script],
                    environment: .inherit.updating(["DBUS_SYSTEM_BUS_ADDRESS": bus.address]), input: .none,
                    output: .discarded, error: .discarded
                ) { polkit async throws in
                    try await AgentProcess.run(device, environment: bus.environment) { agent async throws in
                        #expect(await agent.logs("On D-Bus as org.upgradelink.Agent1"))
                        #expect(
                            await eventually {
                                (try? await bus.busctl(["status", "org.freedesktop.PolicyKit1"]))?.isSuccess == true
                            })
                        #expect(try await bus.call("Check", user: 65534).isSuccess)
                        // No rule allows user 1 (daemon).
                        #expect(try await bus.call("Check", user: 1).error.contains("Access denied"))
                    }
                    try? polkit.send(signal: .terminate)
                }
                _ = polkit
            }
        }
    }

    @Test func invalidArgumentsAreRefusedAndChangeNothing() async throws {
        let version = try await device.publish(2, type: 1)
        try await withAgent([version]) { bus, agent, _ async throws in
            #expect(await eventually { await bus.property("State") == "s \"consent\"" })
            let calls: [([String], String)] = [
                (["Accept", "s", "2"], "Accept takes a versionCode (t) and when (s)"),
                (["Accept", "ts", "2", "never"], "Accept takes a versionCode (t) and when (s)"),
                (["Accept", "ts", "18446744073709551615", "now"], "Accept takes a versionCode"),
                (["Accept", "ts", "9", "now"], "version 9 is not the one that is offered"),
                (["Defer", "tt", "2", "1"], "a deferral takes from 1 min to 7 d"),
                (["Defer", "tt", "2", "18446744073709551615"], "a deferral takes from 1 min to 7 d"),
                (["Reject", ""], "Reject takes a versionCode"), (["Check", "s", "x"], "Check takes no arguments"),
                (["Inhibit", "sss", "sleep", "w", "y"], "Inhibit takes what (s), a colon-separated list"),
                (["InstallFile", "s", "relative"], "InstallFile takes an absolute path"),
                (["Explode"], "there is no method Explode"), (["Retry", "t", "7"], "version 7 has neither failed"),
                (["Accept", "a{sv}", "1", "x", "(ai)", "2", "1", "2"], "Accept takes a versionCode"),
            ]
            for (call, complaint) in calls {
                let result = try await bus.busctl(
                    ["call", "org.upgradelink.Agent1", "/org/upgradelink/Agent1", "org.upgradelink.Agent1"] + call)
                #expect(!result.isSuccess && result.error.contains(complaint), "\(call): \(result)")
            }
            #expect(!agent.hasEnded)
            #expect(await bus.property("State") == "s \"consent\"")
        }
    }

    // MARK: the bus itself

    @Test func theAgentRunsWithoutABusAndConnectsWhenOneAppears() async throws {
        let version = try await device.publish(2)
        try await SimulatedServer.run(device.server([version])) { server async throws in
            try device.configure(server: server.url)
            let environment = ["DBUS_SYSTEM_BUS_ADDRESS": "unix:path=\(device.scratch.path)/bus"]
            try await AgentProcess.run(device, environment: environment) { agent async throws in
                #expect(await agent.says("Up to date (v2, code 2)"))
                for _ in 0..<2 {
                    let before = agent.log.count { $0.contains("On D-Bus") }
                    try await PrivateBus.run(directory: device.scratch.path, policies: [policy]) { bus async throws in
                        #expect(
                            await eventually(within: 60) { agent.log.count { $0.contains("On D-Bus") } > before })
                        #expect(await bus.property("State") != nil)
                    }
                    #expect(!agent.hasEnded)
                }
                #expect(agent.log.contains { $0.contains("The connection to D-Bus is lost") })
            }
        }
    }

    @Test func aHundredClientsDoNotDelayTheWatchdog() async throws {
        try await withAgent(environment: ["WATCHDOG_USEC": "4000000"]) { bus, agent, _ async throws in
            let calls = [
                ["Check"], ["Accept", "ts", "2", "now"], ["Cancel"], ["History"], ["SetSpeedLimit", "t", "1000"],
                ["Inhibit", "sss", "install", "x", "y"], ["Nonsense"],
            ]
            let before = agent.times { $0 == "WATCHDOG=1" }.count
            // The clients continue until the agent has sent three keep-alive messages.
            let isAlive: @Sendable () -> Bool = { agent.times { $0 == "WATCHDOG=1" }.count >= before + 3 }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for client in 0..<100 {
                    group.addTask {
                        var round = 0
                        while round < 3 || !isAlive(), !agent.hasEnded {
                            _ = try await bus.busctl(
                                [
                                    "call", "org.upgradelink.Agent1", "/org/upgradelink/Agent1",
                                    "org.upgradelink.Agent1",
                                ] + calls[(client + round) % calls.count], user: client % 2 == 0 ? 0 : 65534)
                            round += 1
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(!agent.hasEnded)
            #expect(isAlive())
            #expect(await eventually { await bus.property("Inhibitors") == "aa{sv} 0" })
            // The agent sends one every two seconds; the watchdog ends it after four seconds without one.
            let times = agent.times { $0 == "WATCHDOG=1" }
            let longest = zip(times.dropFirst(), times).map { $0 - $1 }.max() ?? .infinity
            #expect(longest < 4, "no keep-alive message for \(longest) s")
        }
    }
}
