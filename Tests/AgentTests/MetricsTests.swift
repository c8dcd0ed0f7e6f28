import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

@testable import Agent

/// The metrics of a real agent, as Prometheus's own programs read them.
@Suite struct MetricsTests {
    private let device: AgentDevice
    private static let programs = "\(repositoryDirectory)/.cache/prometheus/usr/bin"
    private static let hasPrograms = Files.exists("\(programs)/promtool")
    private static let requirement: ConditionTrait = .enabled(
        if: hasPrograms, "there is no promtool: packaging/dependencies.sh test fetches it")

    init() async throws { device = try await AgentDevice() }

    private var path: String { "\(device.scratch.path)/metrics/upgradelinkd.prom" }
    private static let option = "[metrics]\nfile = \"@ROOT@/metrics/upgradelinkd.prom\"\n"

    private var text: String { (try? device.scratch.read("metrics/upgradelinkd.prom")) ?? "" }

    private func shows(_ line: String) async -> Bool {
        await eventually(within: 40) { text.split(separator: "\n").contains { $0 == line } }
    }

    /// What another process sees: every content of the file until the task is cancelled, and how often it was replaced.
    private func watch() -> Task<(contents: Set<String>, files: Int), any Error> {
        Task {
            var contents: Set<String> = []
            var inodes: [ino_t] = []
            while !Task.isCancelled {
                if let file = try? OpenFile(path, O_RDONLY), let bytes = try? Files.read(file, limit: 1 << 20) {
                    var status = stat()
                    if fstat(file.descriptor, &status) == 0, status.st_ino != inodes.last {
                        inodes.append(status.st_ino)
                    }
                    contents.insert(String(decoding: bytes, as: UTF8.self))
                }
                try? await Task.sleep(for: .milliseconds(1))
            }
            return (contents, inodes.count)
        }
    }

    private func check(_ text: String) async throws {
        try device.scratch.write("checked.prom", text)
        try await execute(
            "sh", ["-c", "'\(Self.programs)/promtool' check metrics <'\(device.scratch.path)/checked.prom'"])
    }

    @Test(requirement) func theMetricsFollowAnUpdate() async throws {
        try Files.createDirectory("\(device.scratch.path)/metrics", mode: 0o755)
        let version = try await device.publish(2, ballast: 2_000_000)
        let slow = Fault(path: "/files/v2", times: 1, bytesPerSecond: 700_000)
        try await SimulatedServer.run(device.server([version], faults: [slow])) { server async throws in
            try device.configure(server: server.url, changes: Self.option)
            let began = Clock.bootTime
            let watching = watch()
            try await AgentProcess.run(device) { agent async throws in
                #expect(await shows("upgradelink_installed_version_code 1"))
                #expect(await agent.updates(to: 2, server))
                #expect(await shows("upgradelink_installed_version_code 2"))
                #expect(await shows("upgradelink_state{state=\"idle\"} 1"))
                #expect(await shows("upgradelink_results_total{result=\"installed\"} 1"))
            }
            let last = text
            let time: Seconds = Clock.bootTime - began
            watching.cancel()
            let seen = try await watching.value
            for line in [
                "upgradelink_installed_version_info{version_name=\"v2\"} 1", "upgradelink_blocked_versions 0",
                "upgradelink_last_result_info{result=\"installed\",reason=\"\",version_code=\"2\",version_name=\"v2\"} 1",
                "upgradelink_requests_total{request=\"download\"} 1", "upgradelink_windows_missed 0",
            ] {
                #expect(last.split(separator: "\n").contains { $0 == line }, "\(line) in \(last)")
            }
            let bytes = try #require(last.firstMatch(of: /upgradelink_downloaded_bytes_total (\d+)/)?.1)
            #expect(Int(bytes).map { $0 > 2_000_000 } == true)
            let poll = try #require(last.firstMatch(of: /upgradelink_last_successful_poll_timestamp_seconds (\d+)/)?.1)
            #expect(Int(poll).map { abs($0 - Int(Clock.wallTime.unixSeconds)) < 60 } == true)
            #expect(!last.contains("upgradelink_offered_version_code"))

            // No reader sees a part of a file, and the exporter's user can read it.
            #expect(seen.contents.count > 1)
            for content in seen.contents { try await check(content) }
            #expect(seen.contents.allSatisfy { $0.contains("upgradelink_build_info{") && $0.hasSuffix("\n") })
            #expect(seen.contents.allSatisfy { $0.contains("upgradelink_results_total{result=\"interrupted\"}") })
            #expect(Double(seen.files) <= time / 10 + 2, "\(seen.files) in \(time) s")
            #expect(try await execute("stat", ["-c", "%a", path]) == "644\n")
            #expect(try Files.list("\(device.scratch.path)/metrics") == ["upgradelinkd.prom"])
        }
    }

    @Test func anUnwritableDirectoryGivesOneWarningAndNoDelay() async throws {
        let version = try await device.publish(2)
        try await SimulatedServer.run(device.server([version])) { server async throws in
            try device.configure(server: server.url, changes: Self.option)
            try await AgentProcess.run(device) { agent async throws in
                #expect(await agent.updates(to: 2, server))
                let warning = "metrics.file cannot be written"
                #expect(await eventually { agent.log.count { $0.contains(warning) } == 1 })
                #expect(agent.log.contains { $0.contains(warning) && $0.contains("ReadWritePaths=") })
                // A reload checks again.
                kill(agent.pid, SIGHUP)
                #expect(await eventually { agent.log.count { $0.contains(warning) } == 2 })
                try Files.createDirectory("\(device.scratch.path)/metrics", mode: 0o755)
                kill(agent.pid, SIGHUP)
                #expect(await shows("upgradelink_installed_version_code 2"))
                #expect(agent.log.count { $0.contains(warning) } == 2)

                // Without the option the file would show old values for ever.
                try device.configure(server: server.url)
                kill(agent.pid, SIGHUP)
                #expect(await eventually { !Files.exists(path) })
            }
        }
    }

    /// The option was removed while the agent did not run, or names another file now.
    @Test(arguments: [true, false]) func theFileOfAnEarlierProcessIsRemoved(isRemoved: Bool) async throws {
        try Files.createDirectory("\(device.scratch.path)/metrics", mode: 0o755)
        try await SimulatedServer.run(device.server([])) { server async throws in
            try device.configure(server: server.url, changes: Self.option)
            try await AgentProcess.run(device) { _ async throws in
                #expect(await shows("upgradelink_installed_version_code 1"))
            }
            #expect(Files.exists(path))
            let other = Self.option.replacing("upgradelinkd.prom", with: "other.prom")
            try device.configure(server: server.url, changes: isRemoved ? "" : other)
            try await AgentProcess.run(device) { agent async throws in
                #expect(await agent.says("Up to date"))
                #expect(await eventually { !Files.exists(path) })
                let other = "\(device.scratch.path)/metrics/other.prom"
                if !isRemoved { #expect(await eventually { Files.exists(other) }) }
            }
            #expect(device.scratch.exists("state/metrics.json") == !isRemoved)
        }
    }

    /// Another program, or damage, may have changed what the record names.
    @MainActor @Test func onlyMetricsAreRemoved() throws {
        let directory = device.scratch.path
        let metrics = "# HELP upgradelink_build_info The version.\n"
        let contents = [
            "own.prom": metrics, "own.txt": metrics, "other.prom": "# HELP node_boot_time_seconds x\n",
            "empty.prom": "",
            "short.prom": "# HELP", "target": metrics, "foreign.prom": metrics,
        ]
        for (name, text) in contents { try device.scratch.write(name, text) }
        symlink("\(directory)/target", "\(directory)/link.prom")
        symlink("\(directory)/absent", "\(directory)/dangling.prom")
        mkfifo("\(directory)/fifo.prom", 0o600)
        try Files.createDirectory("\(directory)/directory.prom")
        if getuid() == 0 { chown("\(directory)/foreign.prom", 65534, 65534) }
        let names = try Files.list(directory)
        for name in names + ["absent.prom", "none/absent.prom", "own.txt/x.prom"] {
            try MetricsRecord.remove("\(directory)/\(name)")
        }
        let removed = Set(names).subtracting(try Files.list(directory))
        #expect(removed == (getuid() == 0 ? ["own.prom"] : ["own.prom", "foreign.prom"]))

        // A record that is damaged names no file, and is replaced.
        let record = MetricsRecord(directory: directory)
        try device.scratch.write("metrics.json", "{\"path\":7}")
        #expect(record.replace(with: "/a.prom") == nil)
        #expect(record.replace(with: "/a.prom") == nil)
        #expect(record.replace(with: "/b.prom") == "/a.prom")
        #expect(record.replace(with: nil) == "/b.prom")
        #expect(record.replace(with: nil) == nil)
    }

    @Test(.enabled(if: getuid() == 0, "a private system bus needs root"))
    func theBytesOfAStoppedDownloadAreCounted() async throws {
        try Files.createDirectory("\(device.scratch.path)/metrics", mode: 0o755)
        let version = try await device.publish(2, ballast: 3_000_000)
        let slow = Fault(path: "/files/v2", bytesPerSecond: 300_000)
        let policy = "\(repositoryDirectory)/packaging/dbus/org.upgradelink.Agent1.conf"
        try await PrivateBus.run(directory: device.scratch.path, policies: [policy]) { bus async throws in
            try await SimulatedServer.run(device.server([version], faults: [slow])) { server async throws in
                try device.configure(server: server.url, changes: Self.option)
                try await AgentProcess.run(device, environment: bus.environment) { agent async throws in
                    #expect(await agent.says(" % of 3.0 MB, "))
                    #expect(try await bus.call("Cancel").isSuccess)
                    #expect(await shows("upgradelink_state{state=\"waiting\"} 1"))
                    #expect(
                        await eventually(within: 40) {
                            let count = text.firstMatch(of: /upgradelink_downloaded_bytes_total (\d+)/)?.1
                            return count.flatMap { Int($0) }.map { $0 > 10_000 } ?? false
                        })
                }
            }
        }
    }

    @Test func aFailedReloadIsAnError() async throws {
        try Files.createDirectory("\(device.scratch.path)/metrics", mode: 0o755)
        try await SimulatedServer.run(device.server([])) { server async throws in
            // No check follows, which would write the file, too.
            let option = Self.option + "[poll]\ninterval = \"5h\"\n"
            try device.configure(server: server.url, changes: option)
            try await AgentProcess.run(device) { agent async throws in
                #expect(await shows("upgradelink_state{state=\"idle\"} 1"))
                try device.configure(server: server.url, changes: option + "splay = false\n")
                kill(agent.pid, SIGHUP)
                #expect(await shows("upgradelink_state{state=\"error\"} 1"))
                try device.configure(server: server.url, changes: option)
                kill(agent.pid, SIGHUP)
                #expect(await shows("upgradelink_state{state=\"idle\"} 1"))
            }
        }
    }

    /// A publisher chooses the name of a version.
    @MainActor @Test(requirement) func everyVersionNameGivesAReadableFile() async throws {
        let name = #"\"\u0301\\\u0301 \"\r\n\u0000x\"\u200d"#
        let state = try JSONLine.decode(
            AgentState.self,
            from: Array(#"{"history":[{"versionCode":2,"versionName":"\#(name)","result":"failed"}]}"#.utf8))
        #expect(state.history.count == 1)
        let context = Context(
            now: BootInstant(0), bootID: "", wallClock: WallTime(unixSeconds: 0), buildTime: WallTime(unixSeconds: 0),
            installed: .known(versionCode: 1, versionName: state.history.first?.versionName),
            policy: Policy(schedule: PollSchedule(interval: 1, splay: 0, backOffBase: 1, backOffCap: 1), urlKey: "d"),
            seed: 0)
        var sources = MetricSources(started: BootInstant(0))
        try await check(metrics(state, context, &sources).map(\.text).joined())
    }

    @Test func failuresAreCountedByTheirReason() async throws {
        try Files.createDirectory("\(device.scratch.path)/metrics", mode: 0o755)
        try device.configure(server: Loopback.unusedPort, changes: Self.option)
        try await AgentProcess.run(device) { agent async throws in
            #expect(
                await eventually(within: 40) {
                    text.contains("upgradelink_request_failures_total{request=\"poll\",reason=\"server-unreachable\"} ")
                })
            #expect(await shows("upgradelink_state{state=\"error\"} 1"))
            #expect(!text.contains("upgradelink_last_successful_poll_timestamp_seconds"))
        }
    }

    /// Through a symbolic link in the collector's directory, as docs/monitoring.md says.
    @Test(requirement) func theExporterReadsTheMetrics() async throws {
        try Files.createDirectory("\(device.scratch.path)/metrics", mode: 0o755)
        try Files.createDirectory("\(device.scratch.path)/collector", mode: 0o755)
        symlink(path, "\(device.scratch.path)/collector/upgradelinkd.prom")
        let address = String(Loopback.unusedPort.dropFirst("http://".count))
        try await SimulatedServer.run(device.server([])) { server async throws in
            try device.configure(server: server.url, changes: Self.option)
            try await AgentProcess.run(device) { agent async throws in
                #expect(await shows("upgradelink_installed_version_code 1"))
                let exporter = """
                    '\(Self.programs)/prometheus-node-exporter' --web.listen-address=\(address) --collector.disable-defaults \\
                        --collector.textfile --collector.textfile.directory='\(device.scratch.path)/collector' 2>/dev/null &
                    trap "kill $!; wait" EXIT
                    for _ in $(seq 100); do curl -sf http://\(address)/metrics && exit; sleep 0.2; done
                    """
                let scraped = try await execute("bash", ["-c", exporter])
                #expect(scraped.contains("upgradelink_installed_version_code 1\n"))
                #expect(scraped.contains("node_textfile_scrape_error 0\n"))
            }
        }
    }

    @Test(requirement) func theAlertRulesAreValidAndFire() async throws {
        for command in ["check rules upgradelink.rules.yml", "test rules upgradelink.rules.test.yml"] {
            try await execute(
                "sh", ["-c", "'\(Self.programs)/promtool' \(command)"], in: "\(repositoryDirectory)/docs/examples")
        }
    }
}
