import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// An update that is interrupted once.
struct CrashScene: Sendable {
    enum Policy: String, CaseIterable, Sendable {
        case prompt, silent, forced
        var upgradeType: Int { 1 + (Self.allCases.firstIndex(of: self) ?? 0) }
    }

    enum Module: String, CaseIterable, Sendable {
        case plain, withoutRollback, unhealthy, rebooting, rebootingUnhealthy, image, imageUnhealthy

        var isImage: Bool { self == .image || self == .imageUnhealthy }
        var needsReboot: Bool { isImage || self == .rebooting || self == .rebootingUnhealthy }
        var isHealthy: Bool { self != .unhealthy && self != .rebootingUnhealthy && self != .imageUnhealthy }
    }

    var policy: Policy
    var module: Module

    private enum Stop { case crashed, rebooted, ended, stuck }

    /// Runs the update to its end, with one interruption, and checks the invariants.
    ///
    /// - Parameters:
    ///   - call: the number of the call before which one program is killed.
    ///   - losesPower: the whole device stops at this moment and loses unsynced data.
    /// - Returns: false if there are fewer calls: the update was not interrupted.
    func run(crashAt call: Int, losesPower: Bool) async throws -> Bool {
        let device = try await AgentDevice()
        let disk = try VolatileDisk(device.scratch, prefix: "\(device.scratch.path)/st")
        try disk.newBoot()
        let slots = module.isImage ? try CrashSlots(device) : nil
        var version =
            if let slots {
                try await slots.publish(2, type: policy.upgradeType)
            } else {
                try await device.publish(2, type: policy.upgradeType)
            }
        // The server grants the offer once: a lost offer never comes again.
        version.staged = 1
        try writeModule(device)
        let configuration = device.server([version])
        return try await PrivateBus.run(
            directory: device.scratch.path,
            policies: ["\(repositoryDirectory)/packaging/dbus/org.upgradelink.Agent1.conf"]
        ) { bus async throws in
            try await SimulatedServer.run(configuration) { server async throws in
                try device.configure(server: server.url, changes: changes + (slots?.options ?? ""))
                var chance = Chance(seed: UInt64(call))
                var crashAt = call
                var stop = Stop.rebooted
                var starts = 0
                let place = "call \(call)"
                while stop != .ended, stop != .stuck, starts < 12 {
                    starts += 1
                    let environment = disk.environment(crashAt: crashAt, keepsJournal: losesPower)
                        .merging(bus.environment) { $1 }
                    let isFirst = crashAt != 0
                    let run = try await AgentProcess.run(device, environment: environment) { agent async throws in
                        let stop = try await watch(
                            agent, device, bus, server, disk, stopsWhenHit: isFirst)
                        if stop == .rebooted || stop == .crashed && losesPower { await disk.endProcesses() }
                        return stop
                    }
                    stop = run.value
                    if stop == .stuck { Issue.record("\(place), \(disk.hit ?? "none"): stuck; \(run.log)") }
                    if stop == .crashed {
                        crashAt = 0
                        let knowsOffer =
                            device.scratch.exists("state/offer.json")
                            || (try? device.scratch.read("state/state.json"))?.contains("\"versionCode\":2") == true
                        let wasStored = disk.hasStored("\(device.scratch.path)/state/offer.json")
                        if losesPower { try disk.cutPower(&chance) }
                        // The server sends an offer once: if it was not stored before the interruption, the test must renew
                        // it. A stored offer must not be lost.
                        if losesPower ? !wasStored : !knowsOffer && disk.hit == "upgradelink-fetch" {
                            // The server must have read the requests of the killed processes first.
                            #expect(await eventually { !server.hasUnreadRequests }, "\(place)")
                            await server.change { $0.applications[0].versions[0].staged = 1 }
                        }
                    }
                    if stop == .rebooted || stop == .crashed && losesPower {
                        try disk.newBoot()
                        try slots?.boot()
                        try? Files.remove("\(device.scratch.path)/rebooted")
                    }
                }
                #expect(stop == .ended, "\(place)")
                await disk.endProcesses()
                try check(device, place: "\(place), \(disk.hit ?? "none")")
                return disk.hit != nil
            }
        }
    }

    /// Waits until the update stops in one of these ways, and consents to it.
    private func watch(
        _ agent: AgentProcess, _ device: AgentDevice, _ bus: PrivateBus, _ server: RunningServer, _ disk: VolatileDisk,
        stopsWhenHit: Bool
    ) async throws -> Stop {
        var stop = Stop.stuck
        _ = try await eventually(within: 60) {
            if stopsWhenHit, let hit = disk.hit {
                // If another program was killed, the agent continues, unless the power was cut.
                if hit == "upgradelinkd" {
                    _ = await eventually { agent.hasEnded }
                }
                stop = .crashed
            } else if agent.hasEnded {
                return true
            } else if device.scratch.exists("rebooted") {
                stop = .rebooted
            } else if await isComplete(agent, device, server) {
                stop = .ended
            } else {
                if policy == .prompt, agent.statuses.last?.contains("Waiting for consent") == true {
                    _ = try await bus.call("Accept", "ts", "2", "now")
                }
                return false
            }
            return true
        }
        return stop
    }

    private func isComplete(_ agent: AgentProcess, _ device: AgentDevice, _ server: RunningServer) async -> Bool {
        let code = module.isHealthy ? Report.Code.success : Report.Code.rolledBack
        let isReported = agent.statuses.last?.contains("Up to date (v\(module.isHealthy ? 2 : 1)") == true
        let reports = await server.reports("app_upgrade_upgrade")
        return (isReported || !module.isHealthy) && device.runs == (module.isHealthy ? 2 : 1)
            && reports.contains { $0.contains("\"code\":\(code),") }
    }

    private func check(_ device: AgentDevice, place: String) throws {
        let states = try device.scratch.read("states").split(separator: "\n").map(String.init)
        #expect(!states.contains("Unverified"), "\(place): \(states)")
        #expect(device.runs == (module.isHealthy ? 2 : 1), "\(place): \(states)")
        // One installation at a time: a second begins only after Cleanup of the first.
        var isUnderWay = false
        var commits = 0
        for state in states {
            if state == "Download" {
                #expect(!isUnderWay, "\(place): \(states)")
                #expect(commits == 0, "\(place): installed twice: \(states)")
                isUnderWay = true
            }
            if state == "ArtifactCommit" { commits += 1 }
            // Mender's protocol rolls back if the commit was interrupted.
            if state == "ArtifactRollback" || module == .withoutRollback && state == "ArtifactFailure" { commits = 0 }
            if state == "Cleanup" { isUnderWay = false }
        }
        if !module.isHealthy { #expect(commits == 0, "\(place): \(states)") }
        #expect(!isUnderWay, "\(place): \(states)")
    }

    private func writeModule(_ device: AgentDevice) throws {
        let directory = device.scratch.path
        try device.scratch.write(
            "modules/scene",
            """
            #!/bin/sh
            case "$1" in
                NeedsArtifactReboot) echo \(module.needsReboot ? "Automatic" : "No"); exit ;;
                SupportsRollback) echo \(module == .withoutRollback ? "No" : "Yes"); exit ;;
                ArtifactInstall) cmp -s "$2/files/artifact" \(directory)/files/v2 || echo Unverified >>\(directory)/states ;;
            esac
            echo "$1" >>\(directory)/states
            exec \(modulesDirectory)/\(module.isImage ? "image" : "directory") "$@"
            """, mode: 0o755)
        // On a device systemd ends all processes before the reboot; here the test does.
        try device.scratch.write("reboot", "#!/bin/sh\ntouch \(directory)/rebooted\n", mode: 0o755)
    }

    private var changes: String {
        """
        [install]
        module = "scene"
        rebootCommand = ["@ROOT@/reboot"]
        attempts = \(module.isHealthy ? 20 : 1)
        \(module.isHealthy ? "" : "healthProgram = [\"/bin/false\"]\nhealthTimeout = \"1s\"")
        """
    }
}
