import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// Whole updates: the real agent and workers, with the simulated server.
@Suite struct UpdateTests {
    private let device: AgentDevice

    init() async throws { device = try await AgentDevice() }

    /// Runs an agent with a server while the body runs.
    private func withAgent<Value: Sendable>(
        _ versions: [Version], faults: [Fault] = [], changes: String = "",
        clock: FakeClock? = nil, body: @Sendable (AgentProcess, RunningServer) async throws -> Value
    ) async throws -> (value: Value, end: ProcessEnd, log: [String]) {
        try await SimulatedServer.run(device.server(versions, faults: faults)) { server async throws in
            try device.configure(server: server.url, changes: changes)
            return try await AgentProcess.run(device, environment: clock?.environment ?? [:]) { agent async throws in
                try await body(agent, server)
            }
        }
    }

    @Test(arguments: [(2, "silent"), (3, "forced")])
    func aDeviceIsUpdatedAndReportsIt(type: Int, name: String) async throws {
        let version = try await device.publish(2, type: type)
        let run = try await withAgent([version]) { agent, server async throws in
            #expect(await agent.says("Up to date (v2, code 2); next check "))
            #expect(await eventually { await server.reports("app_upgrade_upgrade").count == 1 })
            #expect(agent.messages.first == "READY=1")
            #expect(agent.statuses.first?.hasPrefix("Started (v1, code 1); first check in ") == true)
            #expect(await agent.logs("Offered v2 (code 2), \(name)"))
            let downloads = await server.reports("app_upgrade_download")
            #expect(
                downloads.count == 1 && downloads[0].contains("\"code\":0,")
                    && downloads[0].contains("\"downloadVersionCode\":2"))
            let upgrade = await server.reports("app_upgrade_upgrade")
            #expect(
                upgrade[0].contains("\"upgradeVersionCode\":2,\"versionCode\":1") && upgrade[0].contains("\"code\":0,"))
            #expect(await server.reports("app_start").count == 1)
            #expect(try Files.list("\(device.scratch.path)/staging") == [])
        }
        #expect(device.runs == 2)
        #expect(run.end == .exited(0))
        #expect(!run.log.contains { $0.contains(AgentDevice.secret) })
    }

    /// The update brings another poll interval.
    @Test func aConfigurationThatAnUpdateChangesTakesEffect() async throws {
        let drop = "\(device.scratch.path)/etc/upgradelinkd/upgradelinkd.toml.d/update.toml"
        try device.scratch.write(
            "modules/configuring",
            """
            #!/bin/sh
            [ "$1" != ArtifactCommit ] || printf '[poll]\\ninterval = "1s"\\n' >\(drop)
            exec \(modulesDirectory)/directory "$@"

            """, mode: 0o755)
        let version = try await device.publish(2)
        let changes = "[poll]\ninterval = \"1h\"\n[install]\nmodule = \"configuring\""
        _ = try await withAgent([version], changes: changes) { agent, server async throws in
            #expect(await agent.updates(to: 2, server))
            let polls = await server.polls
            #expect(await eventually { await server.polls >= polls + 2 }, "\(agent.statuses)")
        }
    }

    /// The service manager starts the installer, with rights that the agent does not have: it does not try itself.
    @Test func anInstallerThatTheServiceManagerDoesNotStartIsReported() async throws {
        let version = try await device.publish(2)
        let socket = "\(device.scratch.path)/no.socket"
        try await SimulatedServer.run(device.server([version])) { server async throws in
            try device.configure(server: server.url)
            try await AgentProcess.run(device, arguments: ["--installer-socket", socket]) { agent async throws in
                #expect(await agent.logs("see systemctl status upgradelink-installer.socket"), "\(agent.log)")
                #expect(device.runs == 1)
            }
            try await AgentProcess.run(device) { agent async throws in
                #expect(await agent.updates(to: 2, server), "the offer is not lost")
            }
        }
    }

    /// Such as of a terminal that is closed, or a journal that restarts.
    @Test func anAgentWhoseLogHasNoReaderGoesOn() async throws {
        let version = try await device.publish(2)
        try await SimulatedServer.run(device.server([version])) { server async throws in
            try device.configure(server: server.url)
            let script = """
                { env --default-signal=PIPE "$1" --debug --root "$2" & echo $! >"$2/pid"; wait $!; echo $? >"$2/status"; } \
                    2>&1 | head -c 1 >/dev/null &
                for i in $(seq 300); do
                    [ ! -e "$2/status" ] || break
                    ! grep -q VERSION_CODE=2 "$2/live/version" || break
                    sleep 0.1
                done
                kill "$(cat "$2/pid")" || true
                wait
                """
            try await execute(
                "sh", ["-c", script, "sh", "\(programsDirectory)/upgradelinkd", device.scratch.path])
        }
        #expect(try device.scratch.read("status") == "0\n")
        #expect(device.runs == 2)
    }

    @Test func aPromptUpdateIsDownloadedAndWaitsForConsent() async throws {
        let version = try await device.publish(2, type: 1)
        _ = try await withAgent([version]) { agent, server async throws in
            #expect(await agent.says("Waiting for consent to install v2 (code 2)"))
            #expect(try Files.list("\(device.scratch.path)/staging") == ["2.artifact", "2.sidecar"])
            #expect(await eventually { await server.reports("app_upgrade_download").count == 1 })
            // At most one poll a day from here on, though the interval is two seconds.
            let polls = await server.polls
            try await Task.sleep(for: .seconds(3))
            #expect(await server.polls == polls)
        }
        #expect(device.runs == 1)
    }

    @Test func aVersionThatTheDeviceDoesNotReportIsBlockedAfterThreeAttempts() async throws {
        let version = try await device.publish(2, says: 1)
        _ = try await withAgent([version]) { agent, server async throws in
            #expect(await agent.logs("v2 (code 2) is blocked after 3 failures"))
            #expect(await agent.logs("Offer refused: versionCode 2 is blocked after 3 failures"))
            #expect(await eventually { await server.reports("app_upgrade_upgrade").count == 3 })
            #expect(await server.reports("app_upgrade_upgrade").allSatisfy { $0.contains("\"code\":3,") })
            // A newer version is installed.
            let next = try await device.publish(3)
            await server.change { $0.applications[0].versions.append(next) }
            #expect(await agent.says("Up to date (v3, code 3)"))
        }
        #expect(device.runs == 3)
    }

    /// It is not counted against the version: the forger may be anybody on the path. The right file is installed later.
    @Test func aForgedFileIsNeverInstalled() async throws {
        let version = try await device.publish(2)
        try device.scratch.write("files/v2", "VERSION_CODE=2\nevil\n")
        _ = try await withAgent([version]) { agent, server async throws in
            #expect(await agent.says("v2 (code 2) waits: its content is not what was signed; it begins with"))
            #expect(await agent.says("; tried 4 times since 20"))
            #expect(device.runs == 1)
            #expect(await eventually { await server.reports("app_upgrade_download").count == 1 })
            #expect(await server.polls == 1, "the offer is not requested again")
            _ = try await device.publish(2)
            #expect(await agent.says("Up to date (v2, code 2)"), "\(agent.statuses.suffix(3))")
        }
        #expect(device.runs == 2)
    }

    @Test func anOldSignedFileIsNotInstalledAsANewVersion() async throws {
        let version = try await device.publish(2, signedFor: 1)
        _ = try await withAgent([version]) { agent, _ async throws in
            #expect(await agent.logs("it was signed for versionCode 1, and 2 is wanted"))
        }
        #expect(device.runs == 1)
    }

    @Test func withoutKeysNothingIsInstalledAndTheStatusSaysWhatToDo() async throws {
        let version = try await device.publish(2)
        _ = try await withAgent([version], changes: "[verification]\nkeys = []") { agent, server async throws in
            #expect(await agent.says("put the publisher's minisign public key into verification.keys"))
            // The operator adds the key and reloads: the offer has not been lost.
            let polls = await server.polls
            try device.configure(server: server.url)
            kill(agent.pid, SIGHUP)
            #expect(await agent.says("Installing v2"))
            #expect(await server.polls == polls || device.runs == 2)
            #expect(await eventually { device.runs == 2 })
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
                "The server responded with HTTP 500 (m)"
            ),
            (
                Fault(path: "/v1/url", status: 502, body: "<html>"),
                "The server responded with HTTP 502 (an HTML page instead of JSON)"
            ),
            (Fault(path: "/v1/url", status: 503, body: ""), "The server responded with HTTP 503 (an empty body)"),
            (
                Fault(path: "/v1/url", status: 200, body: "<!DOCTYPE html>"),
                "The server's reply makes no sense: an HTML page instead of JSON"
            ),
            (Fault(path: "/v1/url", delay: 0, contentLength: 0), "The server's reply makes no sense: an empty body"),
        ])
    func everyReplyIsVisibleInOneLine(fault: Fault, status: String) async throws {
        _ = try await withAgent([], faults: [fault]) { agent, _ async throws in
            #expect(await agent.says(status), "\(agent.statuses)")
        }
    }

    @Test func theAgentRetriesAfterTransientErrors() async throws {
        let version = try await device.publish(2)
        let faults = [
            Fault(path: "/v1/url", times: 3, status: 503), Fault(path: "/files", times: 2, status: 503),
            Fault(path: "/files/v2", times: 2, dropAfter: 10),
        ]
        _ = try await withAgent([version], faults: faults) { agent, _ async throws in
            #expect(await agent.says("Up to date (v2, code 2)"))
        }
        #expect(device.runs == 2)
    }

    @Test func retryAfterIsHonoured() async throws {
        _ = try await withAgent([], faults: [Fault(path: "/v1/url", status: 429, headers: ["Retry-After": "3600"])]) {
            agent, server async throws in
            #expect(await agent.says("rate limit is reached (HTTP 429); next check "))
            #expect(await server.polls == 1)
        }
    }

    /// The offer was granted once. Its file appears later.
    @Test func anOfferWaitsForItsMissingFile() async throws {
        var version = try await device.publish(2)
        version.staged = 1
        try Files.rename("\(device.scratch.path)/files/v2", to: "\(device.scratch.path)/files/hidden")
        _ = try await withAgent([version]) { agent, server async throws in
            #expect(
                await agent.says(
                    "v2 (code 2) waits: HTTP 404 for the file: it is not there; publish the file and its signature"))
            #expect(await agent.says("; tried 5 times since 20"), "\(agent.statuses.suffix(3))")
            #expect(await server.polls == 1)
            #expect(await server.reports("app_upgrade_download").isEmpty)
            try Files.rename("\(device.scratch.path)/files/hidden", to: "\(device.scratch.path)/files/v2")
            #expect(await agent.says("Up to date (v2, code 2)"), "\(agent.statuses.suffix(3))")
        }
        #expect(device.runs == 2)
    }

    /// An unusable address is shown, and does not consume the roll-out quota again and again.
    @Test(
        arguments: [
            ("ftp://h/v2", "it does not begin with http:// or https://"), ("http://h/v\n2", "it contains a line break"),
            ("/v2.bin:", "it does not begin with"),
        ])
    func anUnusableAddressIsShownAndNotRequestedAgain(address: String, says: String) async throws {
        var version = try await device.publish(2)
        version.file = address
        let body =
            "{\"code\":200,\"data\":{\"urlKey\":\"device\",\"versionName\":\"v2\",\"versionCode\":2,"
            + "\"upgradeType\":2,\"urlPath\":\"\(address.replacing("\n", with: "\\n"))\"}}"
        _ = try await withAgent([version], faults: [Fault(path: "/v1/url", status: 200, body: body)]) {
            agent, server async throws in
            #expect(await agent.says("The offered urlPath is unusable: \(says)"), "\(agent.statuses)")
            #expect(await agent.logs("Offer refused: the offered urlPath is unusable"))
            // The interval is two seconds.
            try await Task.sleep(for: .seconds(3))
            #expect(await server.polls == 1)
        }
    }

    // MARK: clocks

    /// Maintenance windows are in the device's time zone, also when daylight saving time begins or ends: here in Berlin, on the
    /// evening before each change.
    @Test(arguments: [
        // 27 March 2027, 22:00 UTC. 02:00 on Sunday does not exist: the window opens at 03:00, 01:00 UTC.
        (1_806_184_800, "Sun 02:00-03:00", "on Sun at 03:00", 3),
        // 30 October 2027, 22:00 UTC. Sunday has 25 hours: 04:00 is 03:00 UTC.
        (1_824_933_600, "Sun 04:00-05:00", "at 04:00", 5),
    ])
    func maintenanceWindowsFollowLocalTime(now: Int, window: String, opens: String, hours: Int) async throws {
        let version = try await device.publish(2)
        let clock = try FakeClock(device.scratch, shows: now)
        var configuration = device.server([version])
        configuration.clockOffset = Double(now) - Clock.wallTime.unixSeconds
        try await SimulatedServer.run(configuration) { server async throws in
            try device.configure(server: server.url, changes: "[install]\nwindows = [\"\(window)\"]")
            let environment = clock.environment.merging(["TZ": "Europe/Berlin"]) { $1 }
            try await AgentProcess.run(device, environment: environment) { agent async throws in
                #expect(
                    await agent.says("Ready to install v2 (code 2) in the next maintenance window, \(opens)"),
                    "\(agent.statuses)")
                #expect(device.runs == 1)
                // The window opens.
                try clock.set(now + hours * 3600 + 1800)
                kill(agent.pid, SIGHUP)
                #expect(await agent.logs("Installed v2 (code 2)"), "\(agent.statuses)")
            }
        }
    }

    @Test func aDeviceThatBootsIn1970SignsWithTheServersTime() async throws {
        let version = try await device.publish(2)
        let clock = try FakeClock(device.scratch, shows: 10)
        _ = try await withAgent([version], clock: clock) { agent, server async throws in
            #expect(await eventually { device.runs == 2 })
            #expect(await agent.logs("This device's clock is wrong"))
            let codes = await server.records.filter { $0.path == "/v1/url/upgrade" }.map(\.code)
            #expect(codes.first == 401_001 && codes.dropFirst().first == 200)
            #expect(codes.count { $0 == 401_001 } == 1, "the clock is corrected after one refused request")
        }
    }

    /// Runs an agent whose clock is wrong with a server that has TLS, and then sets the clock right.
    ///
    /// - Parameter wakes: wake the agent as the kernel does when the clock is set. The kernel does not know the fake clock.
    private func withWrongClock(
        showing seconds: Int, wakes: Bool, expect: @Sendable (AgentProcess) async throws -> Void
    ) async throws {
        try await SimulatedServer.run(device.server([])) { server async throws in
            try await TLSFront.run(of: server.port) { front async throws in
                try device.configure(
                    server: front.url,
                    changes:
                        "[server]\ncaBundle = \"\(front.caBundle)\"\n[poll]\nbackOffBase = \"1h\"\nbackOffCap = \"1h\"")
                let clock = try FakeClock(device.scratch, shows: seconds)
                try await AgentProcess.run(device, environment: clock.environment) { agent async throws in
                    try await expect(agent)
                    let polls = await server.polls
                    try clock.set(nil)
                    if wakes { kill(agent.pid, SIGHUP) }
                    #expect(await agent.logs("The clock has been set"))
                    #expect(await agent.says("Up to date (v1, code 1)"), "\(agent.statuses)")
                    #expect(await server.polls > polls)
                }
            }
        }
    }

    /// The clock shows 2042, so the server's certificate seems to have expired. Its own clock tells which of the two is wrong.
    @Test func aClockInTheFutureIsReportedAndTheCheckRepeatedWhenItIsSet() async throws {
        try await withWrongClock(showing: 2_287_828_800, wakes: true) { agent async throws in
            #expect(await agent.says("The clock of this device is wrong, it shows 2042-07-01 "), "\(agent.statuses)")
            let line = try #require(agent.statuses.first { $0.contains("certificate has expired") })
            let shown = try #require(line.firstMatch(of: /and the server's shows (\d{4})-/)?.1)
            // The server has the test's clock: 365.2425 days a year.
            let year = 1970 + Int(Clock.wallTime.unixSeconds / 31_556_952)
            #expect(abs((Int(shown) ?? 0) - year) <= 1, "\(line)")
        }
    }

    /// Nothing says that the clock is wrong: the certificate may have expired.
    @Test func anExpiredCertificateNamesTheClockToo() async throws {
        try await SimulatedServer.run(device.server([])) { server async throws in
            try await TLSFront.run(of: server.port, validDays: -1) { front async throws in
                try device.configure(server: front.url, changes: "[server]\ncaBundle = \"\(front.caBundle)\"")
                try await AgentProcess.run(device) { agent async throws in
                    #expect(
                        await agent.says(": if that is right, the server's certificate must be renewed"),
                        "\(agent.statuses)")
                }
            }
        }
    }

    @Test func aTLSFailureWithAnUnsetClockIsReportedAsAClockError() async throws {
        try await withWrongClock(showing: 86_400, wakes: false) { agent async throws in
            #expect(await agent.says("The clock of this device is not set, it shows 1970-01-0"), "\(agent.statuses)")
        }
    }
}
