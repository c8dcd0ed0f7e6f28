import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// The whole of it: the real agent, the real workers, a real server.
@Suite struct UpdateTests {
    private let box: AgentBox

    init() async throws { box = try await AgentBox() }

    /// Runs an agent against a server, until the body is done.
    private func play<Value: Sendable>(
        _ versions: [Version], faults: [Fault] = [], changes: String = "",
        clock: FakeClock? = nil, body: @Sendable (AgentProcess, RunningServer) async throws -> Value
    ) async throws -> (value: Value, end: ProcessEnd, log: [String]) {
        try await SimulatedServer.run(box.server(versions, faults: faults)) { server async throws in
            try box.configure(server: server.url, changes: changes)
            return try await AgentProcess.run(box, environment: clock?.environment ?? [:]) { agent async throws in
                try await body(agent, server)
            }
        }
    }

    @Test(arguments: [(2, "silent"), (3, "forced")])
    func aBoxIsUpdatedAndSaysSo(type: Int, name: String) async throws {
        let version = try await box.publish(2, type: type)
        let run = try await play([version]) { agent, server async throws in
            #expect(await agent.says("Up to date (v2, code 2); next check "))
            #expect(await eventually { await server.reports("app_upgrade_upgrade").count == 1 })
            #expect(agent.messages.first == "READY=1")
            #expect(await agent.logs("Offered v2 (code 2), \(name)"))
            let downloads = await server.reports("app_upgrade_download")
            #expect(
                downloads.count == 1 && downloads[0].contains("\"code\":0,")
                    && downloads[0].contains("\"downloadVersionCode\":2"))
            let upgrade = await server.reports("app_upgrade_upgrade")
            #expect(
                upgrade[0].contains("\"upgradeVersionCode\":2,\"versionCode\":1") && upgrade[0].contains("\"code\":0,"))
            #expect(await server.reports("app_start").count == 1)
            #expect(try Files.list("\(box.scratch.path)/staging") == [])
        }
        #expect(box.runs == 2)
        #expect(run.end == .exited(0))
        #expect(!run.log.contains { $0.contains(AgentBox.secret) })
    }

    @Test func aPromptWaitsWithItsDownloadDone() async throws {
        let version = try await box.publish(2, type: 1)
        _ = try await play([version]) { agent, server async throws in
            #expect(await agent.says("Waiting for consent to install v2 (code 2)"))
            #expect(try Files.list("\(box.scratch.path)/staging") == ["2.artifact", "2.sidecar"])
            #expect(await eventually { await server.reports("app_upgrade_download").count == 1 })
            // At most one poll a day from here on, though the interval is two seconds.
            let polls = await server.polls
            try await Task.sleep(for: .seconds(3))
            #expect(await server.polls == polls)
        }
        #expect(box.runs == 1)
    }

    @Test func aVersionThatIsNotWhatTheBoxReportsIsTriedThreeTimesAndGivenUp() async throws {
        let version = try await box.publish(2, says: 1)
        _ = try await play([version]) { agent, server async throws in
            #expect(await agent.logs("v2 (code 2) is given up after 3 attempts"))
            #expect(await agent.logs("Offer refused: versionCode 2 was given up after 3 failed attempts"))
            #expect(await eventually { await server.reports("app_upgrade_upgrade").count == 3 })
            #expect(await server.reports("app_upgrade_upgrade").allSatisfy { $0.contains("\"code\":3,") })
            // A newer one is another matter.
            let next = try await box.publish(3)
            await server.change { $0.applications[0].versions.append(next) }
            #expect(await agent.says("Up to date (v3, code 3)"))
        }
        #expect(box.runs == 3)
    }

    @Test func aForgedFileIsNeverInstalled() async throws {
        let version = try await box.publish(2)
        try box.scratch.write("files/v2", "VERSION_CODE=2\nevil\n")
        _ = try await play([version]) { agent, _ async throws in
            #expect(await agent.logs("v2 (code 2) is given up after 3 attempts: its content is not what was signed"))
        }
        #expect(box.runs == 1)
    }

    @Test func anOldSignedFileCannotPassAsANewVersion() async throws {
        let version = try await box.publish(2, signedFor: 1)
        _ = try await play([version]) { agent, _ async throws in
            #expect(await agent.logs("it was signed for versionCode 1, and 2 is wanted"))
        }
        #expect(box.runs == 1)
    }

    @Test func withoutKeysNothingIsInstalledAndTheStatusSaysWhatToDo() async throws {
        let version = try await box.publish(2)
        _ = try await play([version], changes: "[verification]\nkeys = []") { agent, server async throws in
            #expect(await agent.says("put the publisher's minisign public key into verification.keys"))
            // The operator does, and reloads: the offer was not lost, though the server grants it once.
            let polls = await server.polls
            try box.configure(server: server.url)
            kill(agent.pid, SIGHUP)
            #expect(await agent.says("Installing v2"))
            #expect(await server.polls == polls || box.runs == 2)
            #expect(await eventually { box.runs == 2 })
        }
    }

    // MARK: the table of replies

    @Test(
        arguments: [
            (Fault(path: "/v1/url", status: 200, body: "{\"code\":0,\"data\":null}"), "Up to date (v1, code 1)"),
            (
                Fault(path: "/v1/url", status: 400, body: "{\"code\":400002,\"msg\":\"m\",\"traceId\":\"t\"}"),
                "HTTP 400, code 400002 \"m\", traceId t; check [device]"
            ),
            (
                Fault(path: "/v1/url", status: 401, body: "{\"code\":401002,\"msg\":\"m\"}"),
                "check the access key and the secret key in [credentials]"
            ),
            (
                Fault(path: "/v1/url", status: 404, body: "{\"code\":404002,\"msg\":\"m\"}"),
                "check device.urlKey and server.url"
            ),
            (
                Fault(path: "/v1/url", status: 429, body: "{\"code\":429001,\"msg\":\"m\"}"),
                "The server's rate limit is reached (HTTP 429)"
            ),
            (
                Fault(path: "/v1/url", status: 500, body: "{\"code\":500001,\"msg\":\"m\"}"),
                "The server answered HTTP 500 (m)"
            ),
            (
                Fault(path: "/v1/url", status: 502, body: "<html>"),
                "The server answered HTTP 502 (an HTML page instead of JSON)"
            ),
            (Fault(path: "/v1/url", status: 503, body: ""), "The server answered HTTP 503 (an empty body)"),
            (
                Fault(path: "/v1/url", status: 200, body: "<!DOCTYPE html>"),
                "The server's reply makes no sense: an HTML page instead of JSON"
            ),
            (Fault(path: "/v1/url", delay: 0, contentLength: 0), "The server's reply makes no sense: an empty body"),
        ])
    func everyReplyIsVisibleInOneLine(fault: Fault, status: String) async throws {
        _ = try await play([], faults: [fault]) { agent, _ async throws in
            #expect(await agent.says(status), "\(agent.statuses)")
        }
    }

    @Test func congestionEndsByItself() async throws {
        let version = try await box.publish(2)
        let faults = [
            Fault(path: "/v1/url", times: 3, status: 503), Fault(path: "/files", times: 2, status: 503),
            Fault(path: "/files/v2", times: 2, dropAfter: 10),
        ]
        _ = try await play([version], faults: faults) { agent, _ async throws in
            #expect(await agent.says("Up to date (v2, code 2)"))
        }
        #expect(box.runs == 2)
    }

    @Test func retryAfterIsHonoured() async throws {
        _ = try await play([], faults: [Fault(path: "/v1/url", status: 429, headers: ["Retry-After": "3600"])]) {
            agent, server async throws in
            #expect(await agent.says("rate limit is reached (HTTP 429); next check "))
            #expect(await server.polls == 1)
        }
    }

    @Test func aFileThatIsGoneEndsTheOffer() async throws {
        var version = try await box.publish(2)
        version.file = "absent"
        _ = try await play([version], changes: "[poll]\ninterval = \"1h\"") { agent, server async throws in
            #expect(await agent.says("The offered v2 (code 2) cannot be had: HTTP 404"))
            #expect(
                await eventually { await server.reports("app_upgrade_download").first?.contains("\"code\":2,") == true }
            )
            #expect(await server.records.count { $0.path.hasPrefix("/files/") } == 1)
        }
    }

    // MARK: clocks

    /// Windows are in the box's own time zone, across both changes of its clock: here in Berlin, on the evenings before.
    @Test(arguments: [
        // 27 March 2027, 22:00 UTC. 02:00 on Sunday does not exist: it is 03:00 at once, 01:00 UTC.
        (1_806_184_800, "Sun 02:00-03:00", "on Sun at 03:00", 3),
        // 30 October 2027, 22:00 UTC. Sunday has 25 hours: 04:00 is 03:00 UTC.
        (1_824_933_600, "Sun 04:00-05:00", "at 04:00", 5),
    ])
    func windowsFollowTheClockOnTheWall(now: Int, window: String, opens: String, hours: Int) async throws {
        let version = try await box.publish(2)
        let clock = try FakeClock(box.scratch, shows: now)
        var configuration = box.server([version])
        configuration.clockOffset = Double(now) - Clock.wallTime.unixSeconds
        try await SimulatedServer.run(configuration) { server async throws in
            try box.configure(server: server.url, changes: "[install]\nwindows = [\"\(window)\"]")
            let environment = clock.environment.merging(["TZ": "Europe/Berlin"]) { $1 }
            try await AgentProcess.run(box, environment: environment) { agent async throws in
                #expect(
                    await agent.says("Ready to install v2 (code 2) in the next maintenance window, \(opens)"),
                    "\(agent.statuses)")
                #expect(box.runs == 1)
                // The window opens.
                try clock.set(now + hours * 3600 + 1800)
                kill(agent.pid, SIGHUP)
                #expect(await agent.logs("Installed v2 (code 2)"), "\(agent.statuses)")
            }
        }
    }

    @Test func aBoxThatBootsIn1970SignsWithTheServersTime() async throws {
        let version = try await box.publish(2)
        let clock = try FakeClock(box.scratch, shows: 10)
        _ = try await play([version], clock: clock) { agent, server async throws in
            #expect(await eventually { box.runs == 2 })
            #expect(await agent.logs("This box's clock is wrong"))
            let codes = await server.records.filter { $0.path == "/v1/url/upgrade" }.map(\.code)
            #expect(codes.first == 401_001 && codes.dropFirst().first == 200)
            #expect(codes.count { $0 == 401_001 } == 1, "one refusal is enough to learn from")
        }
    }

    @Test func aTLSFailureInA1970IsNamedAsWhatItIs() async throws {
        try await SimulatedServer.run(box.server([])) { server async throws in
            try await TLSFront.run(of: server.port) { front async throws in
                try box.configure(
                    server: front.url,
                    changes:
                        "[server]\ncaBundle = \"\(front.caBundle)\"\n[poll]\nbackOffBase = \"1h\"\nbackOffCap = \"1h\"")
                let clock = try FakeClock(box.scratch, shows: 86_400)
                try await AgentProcess.run(box, environment: clock.environment) { agent async throws in
                    #expect(await agent.says("The clock of this box is not set"), "\(agent.statuses)")
                    let polls = await server.polls
                    try clock.set(nil)
                    #expect(await agent.logs("The clock has been set"))
                    #expect(await agent.says("Up to date (v1, code 1)"), "\(agent.statuses)")
                    #expect(await server.polls > polls)
                }
            }
        }
    }
}
