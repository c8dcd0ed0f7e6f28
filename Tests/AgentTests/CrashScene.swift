import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// An update of a box that is interrupted once.
struct CrashScene: Sendable {
    enum Policy: String, CaseIterable, Sendable {
        case prompt, silent, forced
        var upgradeType: Int { 1 + (Self.allCases.firstIndex(of: self) ?? 0) }
    }

    enum Module: String, CaseIterable, Sendable {
        case plain, withoutRollback, unhealthy, restarting, restartingUnhealthy

        var restarts: Bool { self == .restarting || self == .restartingUnhealthy }
        var isHealthy: Bool { self != .unhealthy && self != .restartingUnhealthy }
    }

    var policy: Policy
    var module: Module

    private enum Stop { case crashed, restarted, ended, stuck }

    /// Runs the update to its end, with one interruption, and checks what must be true.
    ///
    /// - Parameters:
    ///   - call: before the call of this number one program ends.
    ///   - losesPower: the whole box ends with it, and loses what was not synced.
    /// - Returns: false where there are fewer calls than that: the update was not interrupted.
    func run(crashAt call: Int, losesPower: Bool) async throws -> Bool {
        let box = try await AgentBox()
        let disk = try VolatileDisk(box.scratch, prefix: "\(box.scratch.path)/st")
        try disk.newBoot()
        var version = try await box.publish(2, type: policy.upgradeType)
        // Granted once: whoever loses that offer never gets it.
        version.staged = 1
        try writeModule(box)
        let configuration = box.server([version])
        return try await PrivateBus.run(
            folder: box.scratch.path, policies: ["\(repositoryFolder)/packaging/dbus/org.upgradelink.Agent1.conf"]
        ) { bus async throws in
            try await SimulatedServer.run(configuration) { server async throws in
                try box.configure(server: server.url, changes: changes)
                var chance = Chance(seed: UInt64(call))
                var crashAt = call
                var stop = Stop.restarted
                var lives = 0
                let place = "call \(call)"
                while stop != .ended, stop != .stuck, lives < 12 {
                    lives += 1
                    let environment = disk.environment(crashAt: crashAt, keepsJournal: losesPower)
                        .merging(bus.environment) { $1 }
                    let isFirst = crashAt != 0
                    let life = try await AgentProcess.run(box, environment: environment) { agent async throws in
                        let stop = try await watch(
                            agent, box, bus, server, disk, stopsWhenHit: isFirst)
                        if stop == .restarted || stop == .crashed && losesPower { await disk.endProcesses() }
                        return stop
                    }
                    stop = life.value
                    if stop == .stuck { Issue.record("\(place), \(disk.hit ?? "none"): stuck; \(life.log)") }
                    if stop == .crashed {
                        crashAt = 0
                        let knowsOffer =
                            box.scratch.exists("state/offer.json")
                            || (try? box.scratch.read("state/state.json"))?.contains("\"versionCode\":2") == true
                        let wasStored = disk.hasStored("\(box.scratch.path)/state/offer.json")
                        if losesPower { try disk.cutPower(&chance) }
                        // What the server granted and no disk has cannot be known again: the contract has no second
                        // reply. Whoever has it must not lose it.
                        if losesPower ? !wasStored : !knowsOffer && disk.hit == "upgradelink-fetch" {
                            // Not before it has read what the dead had asked.
                            #expect(await eventually { !server.hearsFromTheDead }, "\(place)")
                            await server.change { $0.applications[0].versions[0].staged = 1 }
                        }
                    }
                    if stop == .restarted || stop == .crashed && losesPower {
                        try disk.newBoot()
                        try? Files.remove("\(box.scratch.path)/rebooted")
                    }
                }
                #expect(stop == .ended, "\(place)")
                await disk.endProcesses()
                try check(box, place: "\(place), \(disk.hit ?? "none")")
                return disk.hit != nil
            }
        }
    }

    /// Waits for the next thing to happen; the person in front of the box consents.
    private func watch(
        _ agent: AgentProcess, _ box: AgentBox, _ bus: PrivateBus, _ server: RunningServer, _ disk: VolatileDisk,
        stopsWhenHit: Bool
    ) async throws -> Stop {
        var stop = Stop.stuck
        _ = try await eventually(within: 60) {
            if stopsWhenHit, let hit = disk.hit {
                // Its agent goes on where another program ended, unless the power went.
                if hit == "upgradelinkd" {
                    _ = await eventually { agent.hasEnded }
                }
                stop = .crashed
            } else if agent.hasEnded {
                return true
            } else if box.scratch.exists("rebooted") {
                stop = .restarted
            } else if await isAtItsEnd(agent, box, server) {
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

    private func isAtItsEnd(_ agent: AgentProcess, _ box: AgentBox, _ server: RunningServer) async -> Bool {
        let code = module.isHealthy ? Report.Code.success : Report.Code.rolledBack
        let isSaid = agent.statuses.last?.contains("Up to date (v\(module.isHealthy ? 2 : 1)") == true
        let reports = await server.reports("app_upgrade_upgrade")
        return (isSaid || !module.isHealthy) && box.runs == (module.isHealthy ? 2 : 1)
            && reports.contains { $0.contains("\"code\":\(code),") }
    }

    private func check(_ box: AgentBox, place: String) throws {
        let states = try box.scratch.read("states").split(separator: "\n").map(String.init)
        #expect(!states.contains("Unverified"), "\(place): \(states)")
        #expect(box.runs == (module.isHealthy ? 2 : 1), "\(place): \(states)")
        // One installation at a time: a second begins only after the first was cleaned up.
        var isUnderWay = false
        var commits = 0
        for state in states {
            if state == "Download" {
                #expect(!isUnderWay, "\(place): \(states)")
                #expect(commits == 0, "\(place): installed twice: \(states)")
                isUnderWay = true
            }
            if state == "ArtifactCommit" { commits += 1 }
            // Interrupted in the middle of the commit: Mender's protocol rolls back then.
            if state == "ArtifactRollback" || module == .withoutRollback && state == "ArtifactFailure" { commits = 0 }
            if state == "Cleanup" { isUnderWay = false }
        }
        if !module.isHealthy { #expect(commits == 0, "\(place): \(states)") }
        #expect(!isUnderWay, "\(place): \(states)")
    }

    private func writeModule(_ box: AgentBox) throws {
        let folder = box.scratch.path
        try box.scratch.write(
            "modules/scene",
            """
            #!/bin/sh
            case "$1" in
                NeedsArtifactReboot) echo \(module.restarts ? "Automatic" : "No"); exit ;;
                SupportsRollback) echo \(module == .withoutRollback ? "No" : "Yes"); exit ;;
                ArtifactInstall) cmp -s "$2/files/artifact" \(folder)/files/v2 || echo Unverified >>\(folder)/states ;;
            esac
            echo "$1" >>\(folder)/states
            exec \(repositoryFolder)/packaging/modules/directory "$@"
            """, mode: 0o755)
        // The service manager's kill of everything is the test's part.
        try box.scratch.write("reboot", "#!/bin/sh\ntouch \(folder)/rebooted\n", mode: 0o755)
    }

    private var changes: String {
        """
        [install]
        module = "scene"
        rebootCommand = ["@BOX@/reboot"]
        attempts = \(module.isHealthy ? 20 : 1)
        \(module.isHealthy ? "" : "healthProgram = [\"/bin/false\"]\nhealthTimeout = \"1s\"")
        """
    }
}
