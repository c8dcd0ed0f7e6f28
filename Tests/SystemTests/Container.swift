import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport

/// A machine of its own with a real systemd: a container over this machine's root, with upgradelinkd installed as
/// `make install` does it. What it writes is gone with it.
struct Container: Sendable {
    private let scratch: Scratch
    /// Its root, as seen from here.
    var root: String { "\(scratch.path)/machine/root" }

    /// Root, and a systemd-nspawn to boot with.
    static var isPossible: Bool { getuid() == 0 && Files.exists("/usr/bin/systemd-nspawn") }

    init() async throws {
        scratch = try Scratch()
        chmod(scratch.path, 0o755)
    }

    /// Prepares the root, and removes it afterwards.
    func run<Value: Sendable>(_ body: @Sendable (Container) async throws -> Value) async throws -> Value {
        try await scratch.withSmallFileSystem("machine", size: "2g") { machine async throws in
            for name in ["upper", "work", "root"] {
                try Files.createFolder("\(machine)/\(name)")
                chmod("\(machine)/\(name)", 0o755)
            }
            try await execute(
                "mount",
                [
                    "-t", "overlay", "overlay", "-o", "lowerdir=/,upperdir=\(machine)/upper,workdir=\(machine)/work",
                    root,
                ])
            defer { umount2(root, CInt(MNT_DETACH)) }
            try await install()
            return try await body(self)
        }
    }

    /// What `make install` installs, from the programs the tests were built with.
    private func install() async throws {
        let copies: [(from: String, to: String, mode: mode_t)] = [
            ("\(programsFolder)/upgradelinkd", "usr/sbin/upgradelinkd", 0o755),
            ("\(programsFolder)/upgradelinkctl", "usr/bin/upgradelinkctl", 0o755),
            ("\(programsFolder)/upgradelink-fetch", "usr/lib/upgradelinkd/upgradelink-fetch", 0o755),
            ("\(programsFolder)/upgradelink-installer", "usr/lib/upgradelinkd/upgradelink-installer", 0o755),
            ("\(programsFolder)/upgradelink-sim", "usr/local/bin/upgradelink-sim", 0o755),
            ("\(packaging)/modules/directory", "usr/lib/upgradelinkd/modules/directory", 0o755),
            (
                "\(packaging)/dbus/org.upgradelink.Agent1.conf",
                "usr/share/dbus-1/system.d/org.upgradelink.Agent1.conf", 0o644
            ),
            ("\(packaging)/catalog/upgradelinkd.catalog", "usr/lib/systemd/catalog/upgradelinkd.catalog", 0o644),
        ]
        for copy in copies {
            let target = "\(root)/\(copy.to)"
            try Files.createFolder(Files.folder(of: target))
            try await execute("cp", [copy.from, target])
            chmod(target, copy.mode)
        }
        let unit = String(
            decoding: try Files.read("\(packaging)/systemd/upgradelinkd.service.in", limit: 65_536), as: UTF8.self)
        try write("usr/lib/systemd/system/upgradelinkd.service", unit.replacing("@SBINDIR@", with: "/usr/sbin"))
        try write("etc/fstab", "")
        try write("etc/machine-id", "")
    }

    private var packaging: String { "\(repositoryFolder)/packaging" }

    func write(_ name: String, _ text: String, mode: mode_t = 0o644) throws {
        let path = "\(root)/\(name)"
        try Files.createFolder(Files.folder(of: path), mode: 0o755)
        try Files.replace(path, with: Array(text.utf8), mode: mode)
        chmod(path, mode)
    }

    /// Boots it, runs `body` in it, and pulls the plug, unless it went down by itself.
    ///
    /// - Returns: what the body returned, and the exit status of systemd-nspawn: 133 after a restart.
    @discardableResult
    func boot<Value: Sendable>(
        _ body: @Sendable (Machine) async throws -> Value
    ) async throws -> (value: Value, status: TerminationStatus) {
        let result = try await Subprocess.run(
            .path("/usr/bin/systemd-nspawn"),
            arguments: [
                "-q", "-D", root, "--machine=upgradelink-\(UInt32.random(in: 0...UInt32.max))", "--register=no",
                "--keep-unit", "--boot", "--private-network", "--console=pipe",
            ], environment: .inherit.updating(["SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"]), input: .none,
            output: .discarded, error: .discarded
        ) { nspawn in
            let machine = try await Machine(nspawn: nspawn.processIdentifier.value)
            defer { kill(machine.pid, SIGKILL) }
            guard await machine.isUp() else { throw SystemError("boot", root, code: ETIMEDOUT) }
            return try await body(machine)
        }
        return (result.closureResult, result.terminationStatus)
    }
}

/// A container that is up.
struct Machine: Sendable {
    /// Its PID 1, as seen from here.
    let pid: pid_t

    struct Failure: Error { var description: String }

    fileprivate init(nspawn: pid_t) async throws {
        var found: pid_t = 0
        _ = await eventually(within: 60) {
            let children = Self.text("/proc/\(nspawn)/task/\(nspawn)/children").split(separator: " ")
            // Not the helper that comes first: the one that is PID 1 in a namespace of its own.
            found =
                children.compactMap { pid_t($0) }.first { child in
                    Self.text("/proc/\(child)/status").contains(/NSpid:(\s+\d+)+\s+1\n/)
                } ?? 0
            return found > 0
        }
        guard found > 0 else { throw Failure(description: "systemd-nspawn has started no PID 1") }
        pid = found
    }

    private static func text(_ path: String) -> String {
        (try? Files.read(path, limit: 65_536)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    fileprivate func isUp() async -> Bool {
        await eventually(within: 90) {
            let state = (try? await run("systemctl", "is-system-running"))?.output ?? ""
            return state.hasPrefix("running") || state.hasPrefix("degraded")
        }
    }

    /// Whether it is still there: it goes down by itself when it restarts.
    var isRunning: Bool { kill(pid, 0) == 0 }

    @discardableResult
    func run(_ command: String...) async throws -> (isSuccess: Bool, output: String, error: String) {
        let result = try await Subprocess.run(
            .name("timeout"), arguments: .init(["30", "nsenter", "-t", "\(pid)", "-a"] + command),
            output: .string(limit: 4 << 20), error: .string(limit: 1 << 20))
        return (result.terminationStatus.isSuccess, result.standardOutput, result.standardError)
    }

    /// A property of the unit, as `systemctl show` has it.
    func property(_ name: String) async -> String {
        let answer = try? await run("systemctl", "show", "-P", name, "upgradelinkd")
        return answer?.output.split(separator: "\n").first.map(String.init) ?? ""
    }

    func status(says text: String, within seconds: Double = 30) async -> Bool {
        await eventually(within: seconds) { await property("StatusText").contains(text) }
    }
}
