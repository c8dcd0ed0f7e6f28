import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

/// The real installer with the units of the health check, each way a unit can be unhealthy alone. A small program has the place of
/// systemctl(1), and of busctl(1), in the mount namespace of the installer.
@Suite(.enabled(if: getuid() == 0, "a mount namespace needs root"))
struct HealthUnitTests {
    private let device: InstallerDevice
    private var root: String { device.scratch.path }

    init() async throws {
        device = try await RecorderDevice(.init(name: "", reboot: "No", chain: "", result: .committed)).device
        try device.scratch.write(
            "bin/systemctl",
            """
            #!/bin/sh
            echo "$*" >>\(device.scratch.path)/control/systemctl
            case "$1" in
                show) for unit in "$@"; do :; done; exec cat "\(device.scratch.path)/units/$unit" ;;
                is-system-running) cat \(device.scratch.path)/control/running 2>/dev/null || echo running ;;
                *) [ ! -e "\(device.scratch.path)/control/fail-$1" ] || { echo "it does not $1" >&2; exit 1; } ;;
            esac
            """, mode: 0o755)
        try device.scratch.write(
            "bin/busctl", "#!/bin/sh\nexec cat \(device.scratch.path)/control/inhibitors\n", mode: 0o755)
        try unit("good.service")
        try unit("app.service")
    }

    private func configure(_ lines: String) throws {
        try device.configure(
            install: """
                module = "recorder"
                moduleDirectories = ["@ROOT@/modules"]
                fileName = "payload"
                healthTimeout = 1
                healthSettle = 0.5
                rebootCommand = ["/bin/sh", "-c", "echo SystemReboot >>@ROOT@/control/log; exec cat @ROOT@/control/reboots"]
                \(lines)
                """)
    }

    /// What systemctl(1) shows of a unit; a healthy one has been active since the boot.
    private func unit(_ name: String, load: String = "loaded", active: String? = "active", since: UInt64 = 1) throws {
        try device.scratch.write(
            "units/\(name)",
            "LoadState=\(load)\n" + (active.map { "ActiveState=\($0)\n" } ?? "")
                + "ActiveEnterTimestampMonotonic=\(since)\nJob=0\nResult=success\n")
    }

    private func run(_ request: InstallRequest, boot: Int = 1) async -> (result: InstallResult, output: [String]) {
        let mounts = ["systemctl", "busctl"].map { "mount --bind \(root)/bin/\($0) /usr/bin/\($0)" }
        let (reports, result) = await InstallerClient.Route.program(
            "/usr/bin/unshare",
            arguments: [
                "--mount", "--propagation", "private", "/bin/sh", "-c",
                "\(mounts.joined(separator: " && ")) && exec \"$@\"",
                "sh", "/usr/bin/env", "UPGRADELINK_BOOT_ID=\(String(repeating: "\(boot)", count: 32))",
                "\(programsDirectory)/upgradelink-installer", "--root", root,
            ]
        ).send(request, timeLimit: 60)
        return (
            result,
            reports.compactMap { if case .output(let line) = $0 { line } else { nil } }
        )
    }

    private func install(_ id: InstallID = 1) async throws -> InstallResult {
        await run(.install(try await device.job(id, version: 2, artifact: "artifact-file"))).result
    }

    private func commands(_ prefix: String = "") throws -> [String] {
        try device.scratch.read("control/systemctl").split(separator: "\n").map(String.init).filter {
            $0.hasPrefix(prefix)
        }
    }

    // MARK: health

    @Test func healthyUnitsAreCommitted() async throws {
        try configure("healthUnits = [\"good.service\", \"app.service\"]")
        #expect(try await install() == .committed)
        #expect(try commands("show ").count == 2)
    }

    @Test(arguments: [
        ("failed", "is failed"), ("inactive", "is inactive"), ("activating", "is activating"),
        ("deactivating", "is deactivating"), ("reloading", "is reloading"), ("", "is"), (nil, "has no state"),
    ])
    func aUnitThatIsNotActiveIsNotHealthy(state: String?, complaint: String) async throws {
        try configure("healthUnits = [\"good.service\", \"app.service\"]")
        try unit("app.service", active: state)
        guard case .rolledBack(let reason, code: .healthCheckFailed) = try await install() else {
            Issue.record("not rolled back")
            return
        }
        #expect(reason.hasPrefix("the device is not healthy after 1 s: app.service \(complaint)"), "\(reason)")
        #expect(try device.scratch.read("control/log").contains("ArtifactRollback\n"))
    }

    /// The first unit of several, too.
    @Test func aUnitThatDoesNotExistIsNotHealthy() async throws {
        try configure("healthUnits = [\"app.service\", \"good.service\"]")
        try unit("app.service", load: "not-found", active: "inactive", since: 0)
        #expect(
            try await install()
                == .rolledBack(
                    "the device is not healthy after 1 s: app.service does not exist", code: .healthCheckFailed))
    }

    /// It was started again and again: it is active only now and then.
    @Test func aUnitThatRestartsIsNotHealthy() async throws {
        try configure("healthUnits = [\"app.service\"]")
        try device.scratch.write(
            "bin/systemctl",
            """
            #!/bin/sh
            [ "$1" = show ] || exit 0
            now=$(cut -d' ' -f1 /proc/uptime | tr -d .)
            printf 'LoadState=loaded\\nActiveState=active\\nActiveEnterTimestampMonotonic=%s0000\\n' "$((now - 10))"
            """, mode: 0o755)
        guard case .rolledBack(let reason, code: .healthCheckFailed) = try await install() else {
            Issue.record("it is healthy")
            return
        }
        #expect(reason.hasPrefix("the device is not healthy after 1 s: app.service has been active for "), "\(reason)")
    }

    @Test func aStateThatCannotBeAskedForIsNotHealthy() async throws {
        try configure("healthUnits = [\"absent.service\"]")
        #expect(
            try await install()
                == .rolledBack(
                    "the device is not healthy after 1 s: absent.service: systemctl show failed",
                    code: .healthCheckFailed))
    }

    @Test func theProgramIsAskedAfterTheUnits() async throws {
        try configure("healthUnits = [\"app.service\"]\nhealthProgram = [\"/bin/sh\", \"-c\", \"exit 3\"]")
        #expect(
            try await install()
                == .rolledBack("the device is not healthy after 1 s: /bin/sh: exit status 3", code: .healthCheckFailed))
    }

    /// The operator stopped the agent: nothing is decided until it is started again.
    @Test func anAgentThatWasStoppedIsNoFailure() async throws {
        try configure("healthUnits = [\"upgradelinkd.service\"]")
        try device.scratch.write(
            "units/upgradelinkd.service",
            "LoadState=loaded\nActiveState=inactive\nJob=0\nResult=success\nStatusText=Stopped by a signal\n")
        guard case .lost(let reason) = try await install() else {
            Issue.record("decided")
            return
        }
        #expect(reason.hasPrefix("upgradelinkd.service was stopped"), "\(reason)")
        try unit("upgradelinkd.service")
        #expect(await run(.resume(1)).result == .committed)
    }

    // MARK: restarted units

    @Test func unitsAreRestartedAndMustThenBeHealthy() async throws {
        try configure("restartUnits = [\"app.service\"]\nhealthUnits = [\"good.service\"]")
        #expect(try await install() == .committed)
        let show = "show --property="
        let all = try commands().filter { !$0.hasPrefix("is-system-running") }
        #expect(all.prefix(3) == ["daemon-reload", "reset-failed -- app.service", "restart -- app.service"])
        #expect(all.dropFirst(3).allSatisfy { $0.hasPrefix(show) })
        #expect(all.suffix(2).map { $0.split(separator: " ").last } == ["good.service", "app.service"])
    }

    @Test func aUnitThatDoesNotStartIsAFailure() async throws {
        try configure("restartUnits = [\"app.service\"]\nhealthUnits = [\"good.service\"]")
        try device.scratch.write("control/fail-restart", "")
        guard case .rolledBack(let reason, code: .unitsFailed) = try await install() else {
            Issue.record("not rolled back")
            return
        }
        #expect(reason.hasPrefix("systemctl restart: it does not restart; after the rollback: "), "\(reason)")
    }

    @Test func aRestartedUnitThatFailsLaterIsAFailure() async throws {
        try configure("restartUnits = [\"app.service\"]\nhealthUnits = [\"good.service\"]")
        try unit("app.service", active: "failed")
        guard case .rolledBack(let reason, code: .healthCheckFailed) = try await install() else {
            Issue.record("not rolled back")
            return
        }
        #expect(
            reason.hasPrefix("the device is not healthy after 1 s: app.service is failed; after the rollback: "),
            "\(reason)")
    }

    /// A unit of the health check that does not run is started again by the rollback, and only that one.
    @Test func theRollbackStartsWhatDoesNotRun() async throws {
        try configure("healthUnits = [\"good.service\", \"app.service\"]")
        try unit("app.service", active: "failed")
        _ = try await install()
        #expect(try commands("restart ") == ["restart -- app.service"])
    }

    // MARK: the end of the system

    /// What fails while the system shuts down has been stopped: it is not the version's fault.
    @Test func aShutdownIsNoFailure() async throws {
        try configure("")
        try device.scratch.write("control/running", "stopping\n")
        try device.scratch.write("control/fail-ArtifactVerifyReboot", "")
        try device.scratch.write("control/fail-ArtifactCommit", "")
        guard case .lost(let reason) = try await install() else {
            Issue.record("decided")
            return
        }
        #expect(reason.contains("it was told to stop"), "\(reason)")
        for name in ["running", "fail-ArtifactCommit"] { unlink("\(root)/control/\(name)") }
        #expect(await run(.resume(1)).result == .committed)
    }

    // MARK: inhibitors

    private static let inhibitor = #"{"type":"a(ssssuu)","data":[[["shutdown","TV","recording","block",0,7]]]}"#

    private func waiting(_ lines: String = "") async throws {
        try configure(lines)
        try device.scratch.write("control/NeedsArtifactReboot", "Automatic\n")
        try device.scratch.write("control/inhibitors", Self.inhibitor)
        try device.scratch.write("control/reboots", "")
        #expect(try await install() == .needsReboot(isRollback: false))
    }

    private var reboots: Int {
        get throws { try device.scratch.read("control/log").split(separator: "\n").count { $0 == "SystemReboot" } }
    }

    @Test func anInhibitorDelaysTheReboot() async throws {
        try await waiting()
        for _ in 1...2 {
            #expect(
                await run(.reboot(1)).result
                    == .rebootRefused("Operation inhibited by \"TV\" (7), reason is \"recording\""))
        }
        #expect(try reboots == 0)
        try device.scratch.write("control/inhibitors", #"{"type":"a(ssssuu)","data":[[]]}"#)
        #expect(await run(.reboot(1)).result == .rebooting)
        #expect(try reboots == 1)
    }

    /// The reboot of a rollback is not delayed for ever, and not refused by an inhibitor then.
    @Test func aRollbackRebootsDespiteAnInhibitor() async throws {
        try await waiting("inhibitLimit = 0")
        try device.scratch.write("control/fail-ArtifactVerifyReboot", "")
        unlink("\(root)/control/reboots")
        #expect(await run(.resume(1), boot: 2).result == .needsReboot(isRollback: true))
        #expect(await run(.reboot(1), boot: 2).result == .rebooting)
        #expect(try reboots == 1)
        #expect(
            try commands("start ") == ["start --no-block --job-mode=replace-irreversibly reboot.target"])
        // Without an inhibitor the refusal is what the command says.
        try device.scratch.write("control/inhibitors", "")
        guard case .rebootRefused(let reason) = await run(.reboot(1), boot: 2).result else {
            Issue.record("not refused")
            return
        }
        #expect(reason.contains("control/reboots"), "\(reason)")
    }
}
