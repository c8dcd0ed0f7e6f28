import DeviceChecks
import Host
import Systemd

/// What systemd reports about the units.
enum UnitCheckup {
    /// The agent, the installer socket, and the unit that resumes an installation after a reboot.
    ///
    /// - Parameter boot: also the unit that delays the user interface (`install.missedWindows`).
    static func findings(_ bus: Bus?, boot: Bool) -> [Finding] {
        guard let bus else { return skipped(boot, "there is no system bus") }
        do throws(BusError) {
            let agent = try Unit("upgradelinkd.service", bus)
            let resume = try Unit("upgradelink-installer-resume.service", bus)
            let socket = try Unit("upgradelink-installer.socket", bus)
            let service = try Unit("upgradelink-installer.service", bus)
            let command = try ServiceCommand(service.name, bus)
            var findings = [
                self.agent(agent), installer(socket, service, command), self.resume(resume, try Boot(bus)),
            ]
            if boot { findings.append(bootWait(try Unit("upgradelink-boot.service", bus))) }
            for unit in [agent, socket, service, resume] where unit.needsReload {
                findings.append(
                    .warn(
                        "unit", "the files of \(unit.name) have changed since systemd read them",
                        "systemctl daemon-reload"))
            }
            return findings
        } catch {
            return skipped(boot, "there is no systemd on this bus")
        }
    }

    private static func skipped(_ boot: Bool, _ reason: String) -> [Finding] {
        (["unit", "installer", "resume"] + (boot ? ["boot"] : [])).map { .skip($0, reason) }
    }

    private static func agent(_ unit: Unit) -> Finding {
        if unit.isMasked {
            return .bad(
                "unit", "\(unit.name) is masked, so this device gets no updates",
                "systemctl unmask upgradelinkd; systemctl enable --now upgradelinkd")
        }
        if let problem = unit.loadProblem {
            return .bad("unit", "\(problem.text), so this device gets no updates", problem.remedy)
        }
        if !unit.isActive {
            return .bad(
                "unit", "\(unit.name) is \(unit.state)",
                "systemctl enable --now upgradelinkd; systemctl status upgradelinkd")
        }
        if unit.isEnabledForThisBoot {
            return .bad(
                "unit", "\(unit.name) is active, but enabled only until the next reboot",
                "systemctl enable upgradelinkd")
        }
        return unit.startsAtBoot
            ? .ok("unit", "\(unit.name) is active and enabled")
            : .bad("unit", "\(unit.name) is active, but does not start at boot", "systemctl enable upgradelinkd")
    }

    private static func bootWait(_ unit: Unit) -> Finding {
        let consequence = "so the user interface does not wait for an overdue version (install.missedWindows)"
        if unit.isMasked {
            return .bad(
                "boot", "\(unit.name) is masked, \(consequence)",
                "systemctl unmask \(unit.name); systemctl enable \(unit.name)")
        }
        if let problem = unit.loadProblem {
            return .bad("boot", "\(problem.text), \(consequence)", problem.remedy)
        }
        return unit.startsAtBoot && !unit.isEnabledForThisBoot
            ? .ok("boot", "\(unit.name) is enabled")
            : .bad("boot", "\(unit.name) is not enabled, \(consequence)", "systemctl enable \(unit.name)")
    }

    private static func installer(_ socket: Unit, _ service: Unit, _ command: ServiceCommand) -> Finding {
        for unit in [socket, service] where unit.isMasked {
            return .bad(
                "installer", "\(unit.name) is masked, so nothing can be installed",
                "systemctl unmask \(unit.name); systemctl start \(socket.name)")
        }
        if let problem = socket.loadProblem ?? service.loadProblem ?? self.problem(of: command, service) {
            return .bad("installer", "\(problem.text), so nothing can be installed", problem.remedy)
        }
        guard socket.isActive else {
            return .bad(
                "installer", "\(socket.name) is \(socket.state), so nothing can be installed",
                "systemctl start \(socket.name)")
        }
        if service.state == "failed" {
            return .bad(
                "installer", "\(service.name) has failed",
                "see journalctl -u \(service.name), then systemctl reset-failed \(service.name)")
        }
        // The socket stays active if its file is removed. Whether the agent can connect to it is checked with its rights.
        let path = InstallerClient.socketPath
        guard Files.exists(path) else {
            return .bad(
                "installer", "\(path) was removed, so the agent cannot reach the installer",
                "systemctl restart \(socket.name)")
        }
        return .ok("installer", "\(socket.name) is \(socket.state)")
    }

    /// The service is started by the next request: until then nothing shows that it cannot work.
    private static func problem(of command: ServiceCommand, _ service: Unit) -> InstalledProgram.Problem? {
        let revert = "remove it from the drop-ins (systemctl revert \(service.name))"
        guard ["", "root", "0"].contains(command.user) else {
            return ("\(service.name) has User=\(command.user), and only root can install", revert)
        }
        for (program, _) in command.commands {
            // systemd searches for a name without a slash when it starts the service.
            if !program.contains("/"), InstalledProgram.isInPath(program) { continue }
            if let problem = InstalledProgram.problem(of: program) {
                return ("ExecStart= of \(service.name): \(problem.text)", problem.remedy)
            }
        }
        let words = command.commands.flatMap { [$0.program] + $0.arguments }
        guard words.contains(where: { $0.split(separator: "/").last == "upgradelink-installer" }) else {
            return ("ExecStart= of \(service.name) does not run upgradelink-installer", revert)
        }
        // The program may be started by another one, such as nice(1).
        return words.first { $0.hasPrefix("/") && $0.hasSuffix("/upgradelink-installer") }.flatMap {
            InstalledProgram.problem(of: $0)
        }
    }

    private static func resume(_ unit: Unit, _ boot: Boot) -> Finding {
        let consequence = "so no installation continues after a reboot"
        if unit.isMasked {
            return .bad("resume", "\(unit.name) is masked, \(consequence)", "systemctl unmask \(unit.name)")
        }
        if let problem = unit.loadProblem {
            return .bad("resume", "\(problem.text), \(consequence)", problem.remedy)
        }
        if !unit.startsAtBoot {
            return .bad(
                "resume", "nothing starts \(unit.name), \(consequence)",
                "systemctl add-wants multi-user.target \(unit.name)")
        }
        if unit.state == "inactive", !unit.hasRun, boot.isComplete, boot.began(after: unit) {
            return .bad(
                "resume", "\(unit.name) did not run in this boot, \(consequence)",
                "look for its name in journalctl -b _PID=1, and correct the unit that prevents it")
        }
        return unit.state == "failed"
            ? .bad("resume", "\(unit.name) has failed", "systemctl status \(unit.name)")
            : .ok("resume", "\(unit.name) runs at each boot")
    }
}
