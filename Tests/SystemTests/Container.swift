import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport

/// A machine with a real systemd: a container over this machine's root file system or over a clean Debian, in which the package is
/// installed. What the container writes is removed at the end.
struct Container: Sendable {
    /// Where the container stores what it writes.
    enum Disk: Sendable, Equatable {
        case memory
        /// An ext4 file system whose power can be cut: unsynced data reaches the disk after five minutes only.
        case ext4
        /// The same two, over a clean Debian with the package.
        case debian(Suite)
        case debianOnDisk(Suite)
        /// Memory that holds a clean Debian, without the package.
        case cleanDebian(Suite)
        /// An ext4 file system that holds a clean Debian, without the package.
        case cleanDebianOnDisk(Suite)
    }

    private let scratch: Scratch
    private let disk: Disk
    private var directory: String { "\(scratch.path)/machine" }
    /// The container's root directory, as a path of this machine.
    var root: String { "\(scratch.path)/root" }

    /// A directory of this machine, /srv/outside in the container. A power cut does not change it.
    private var outside: String { "\(scratch.path)/outside" }

    /// Whether a container can be booted here.
    static var isPossible: Bool { getuid() == 0 && Files.exists("/usr/bin/systemd-nspawn") }
    static let requirement = "booting a container takes root and systemd-nspawn"

    init(_ disk: Disk = .memory) throws {
        scratch = try Scratch()
        self.disk = disk
        for path in [scratch.path, directory, root, outside] {
            mkdir(path, 0o755)
            chmod(path, 0o755)
        }
    }

    /// Prepares the root, and removes it afterwards.
    func run<Value: Sendable>(_ body: @Sendable (Container) async throws -> Value) async throws -> Value {
        switch disk {
        case .memory, .debian, .cleanDebian: break
        case .ext4, .debianOnDisk: try await makeDisk("1g")
        case .cleanDebianOnDisk: try await makeDisk("2g")
        }
        try await mount()
        defer { unmount(CInt(MNT_DETACH)) }
        try write("etc/fstab", "")
        try write("etc/machine-id", "")
        // systemd-shutdown waits this long for processes that are not its children, such as those that a test started.
        try write("etc/systemd/system.conf.d/test.conf", "[Manager]\nDefaultTimeoutStopSec=3s\n")
        // Other services of this machine must not start.
        let wants = "\(root)/etc/systemd/system/multi-user.target.wants"
        for name in (try? Files.list(wants)) ?? [] { unlink("\(wants)/\(name)") }
        return try await body(self)
    }

    private func makeDisk(_ size: String) async throws {
        try await execute("truncate", ["-s", size, "\(scratch.path)/disk"])
        try await execute("mkfs.ext4", ["-q", "-F", "\(scratch.path)/disk"])
    }

    private func mount() async throws {
        var base = PackageLayer.Base.machine
        switch disk {
        case .memory, .debian:
            try await execute("mount", ["-t", "tmpfs", "-o", "size=2g,mode=755", "tmpfs", directory])
        case .ext4, .debianOnDisk:
            try await execute("mount", ["-o", "loop,commit=300", "\(scratch.path)/disk", directory])
            try await execute("mount", ["--make-private", directory])
        case .cleanDebian(let suite):
            try await execute("mount", ["-t", "tmpfs", "-o", "size=2g,mode=755", "tmpfs", root])
            try await execute("tar", ["-xf", suite.archive, "-C", root])
            return
        case .cleanDebianOnDisk(let suite):
            try await execute("mount", ["-o", "loop", "\(scratch.path)/disk", root])
            try await execute("tar", ["-xf", suite.archive, "-C", root])
            return
        }
        switch disk {
        case .debian(let suite), .debianOnDisk(let suite): base = .debian(suite)
        default: break
        }
        for name in ["upper", "work"] { mkdir("\(directory)/\(name)", 0o755) }
        try await Overlay.mount(
            lower: try await PackageLayer.lower(base), upper: "\(directory)/upper", work: "\(directory)/work", at: root
        )
    }

    private func unmount(_ flags: CInt) {
        umount2(root, flags)
        umount2(directory, flags)
    }

    // MARK: power

    /// Cuts the power: unsynced data is lost (ioctl FS_IOC_SHUTDOWN without a flush of the log), and every process is killed.
    func cutPower(_ machine: Machine) throws {
        let shutdown: UInt = 0x8004_587D
        var withoutFlush: UInt32 = 2
        let file = try OpenFile(directory, O_RDONLY | O_DIRECTORY)
        guard ioctl(file.descriptor, shutdown, &withoutFlush) == 0 else { throw SystemError("shut down", directory) }
        kill(machine.pid, SIGKILL)
    }

    /// Mounts the disk again, for the next boot.
    func restorePower() async throws {
        for mount in [root, directory] {
            guard await eventually(within: 30, { umount2(mount, 0) == 0 || errno == EINVAL }) else {
                throw SystemError("unmount", mount)
            }
        }
        // Another process's mount namespace may still hold the file system that was shut down; it would be mounted again.
        let file = "\(scratch.path)/disk"
        guard await eventually(within: 60, { (try? await execute("losetup", ["-j", file]))?.isEmpty == true }) else {
            throw SystemError("release the loop device of", file, code: EBUSY)
        }
        try await mount()
    }

    // MARK: files

    func write(_ name: String, _ text: String, mode: mode_t = 0o644) throws {
        let path = "\(root)/\(name)"
        try Files.createDirectory(Files.directory(of: path), mode: 0o755)
        try Files.replace(path, with: Array(text.utf8), mode: mode)
        chmod(path, mode)
    }

    /// Writes an existing file in place, as an editor does.
    func edit(_ name: String, _ text: String) throws {
        let path = "\(root)/\(name)"
        guard Files.exists(path) else { return try write(name, text) }
        let file = try OpenFile(path, O_WRONLY | O_TRUNC)
        try file.write(Array(text.utf8))
    }

    func read(_ name: String) -> String {
        (try? Files.read("\(root)/\(name)", limit: 16 << 20)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// A file of /srv/outside.
    func readOutside(_ name: String) -> String {
        (try? Files.read("\(outside)/\(name)", limit: 16 << 20)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    func remove(_ name: String) { unlink("\(root)/\(name)") }

    // MARK: booting

    /// Boots the container, runs `body`, and kills the container unless it has shut down by itself.
    ///
    /// - Returns: what the body returned, and the exit status of systemd-nspawn: 133 after a reboot.
    @discardableResult
    func boot<Value: Sendable>(
        _ body: @Sendable (Machine) async throws -> Value
    ) async throws -> (value: Value, status: TerminationStatus) {
        // A mount namespace holds every mount that was there when it was made: without the mounts of other containers, a disk of
        // theirs is free when they unmount it. systemd-nspawn makes the container's control group in its own: two containers in one
        // group would wait for each other's processes.
        let name = "upgradelink-\(UInt32.random(in: 0...UInt32.max))"
        let withoutOthers = """
            own=$1 name=$2; shift 2
            while IFS=: read -r number names path; do
                case $number:$names in
                    0:) groups=/sys/fs/cgroup; [ ! -e $groups/unified ] || groups=$groups/unified ;;
                    *:name=systemd) groups=/sys/fs/cgroup/systemd ;;
                    *) continue ;;
                esac
                mkdir "$groups${path%/}/$name"
                echo $$ >"$groups${path%/}/$name/cgroup.procs"
            done </proc/self/cgroup
            while read -r _ at _; do
                case $at in "$own"/*) ;; */upgradelinkd-test.*) umount -l "$at" || true ;; esac
            done </proc/mounts
            exec "$@"
            """
        let result = try await Subprocess.run(
            .path("/usr/bin/unshare"),
            arguments: .init(
                [
                    "-m", "--propagation", "private", "/bin/sh", "-ec", withoutOthers, "sh", scratch.path, name,
                    "/usr/bin/systemd-nspawn", "-q", "-D", root, "--machine=\(name)", "--register=no",
                    "--keep-unit", "--boot", "--private-network", "--console=pipe",
                    "--bind=\(outside):/srv/outside",
                ]),
            environment: .inherit.updating(["SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"]), input: .none,
            output: .discarded, error: .discarded
        ) { nspawn in
            let machine = try await Machine(nspawn: nspawn.processIdentifier.value)
            defer { kill(machine.pid, SIGKILL) }
            guard await machine.isUp() else { throw SystemError("boot", root, code: ETIMEDOUT) }
            return try await body(machine)
        }
        // Other containers remove theirs in the meantime.
        let groups = "find /sys/fs/cgroup -depth -type d -path '*/\(name)*' -exec rmdir {} + 2>/dev/null || true"
        try await execute("sh", ["-c", groups])
        return (result.closureResult, result.terminationStatus)
    }
}
