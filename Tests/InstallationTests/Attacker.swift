import Glibc
import Host
import TestSupport
import UpdateCore

@testable import Installation

/// A client of the installer that shares no code with it: Tests/Attacks/installer.py.
struct Attacker: Sendable {
    enum Target: Sendable {
        case program(InstallerDevice)
        case socket(String)
    }

    let target: Target

    init(_ target: Target) { self.target = target }

    private var words: [String] {
        switch target {
        case .program(let device):
            ["-", "{", "\(programsDirectory)/upgradelink-installer", "--root", device.scratch.path, "}"]
        case .socket(let path): [path]
        }
    }

    /// - Returns: the lines of JSON that the attack prints.
    func run(
        _ attack: String, _ arguments: String..., onLine: @escaping @MainActor (String) -> Void = { _ in }
    )
        async -> [String]
    {
        let program = Program(
            "python3", ["\(repositoryDirectory)/Tests/Attacks/installer.py"] + words + [attack] + arguments,
            streams: .captured, timeLimit: 120)
        let (lines, errors, end) = await program.run(onLine: { line, _ in onLine(line) })
        return end == .exited(0) ? lines : errors + ["\(end)"]
    }
}

/// An `upgradelink-installer --listen` whose socket a test passes to it, as the service manager does.
@MainActor final class Listener {
    let path: String
    private let device: InstallerDevice
    private var child: ChildProcess?
    private(set) var end: ProcessEnd?

    init(_ device: InstallerDevice) throws {
        self.device = device
        path = "\(device.scratch.path)/installer.socket"
        let socket = OpenFile(descriptor: try Self.listen(path), path: path)
        let script = """
            LISTEN_PID=$$ LISTEN_FDS=1 exec \(programsDirectory)/upgradelink-installer --listen --root \
            \(device.scratch.path) 2>\(device.scratch.path)/journal
            """
        child = ChildProcess.start(
            Program("/bin/sh", ["-c", script], streams: .pipes(passing: [socket]), timeLimit: 300)
        ) { self.end = $0 }
    }

    func terminate() { child?.terminate() }

    /// Only SIGTERM, and only to the listener, as systemd does with `KillMode=mixed`.
    func terminateGently() {
        for pid in (try? Files.list("/proc"))?.compactMap({ pid_t($0) }) ?? [] {
            guard let line = try? Files.read("/proc/\(pid)/cmdline", limit: 4096) else { continue }
            let words = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            if words.contains("--listen"), words.contains(device.scratch.path) { kill(pid, SIGTERM) }
        }
    }

    var journal: [String] {
        ((try? device.scratch.read("journal")) ?? "").split(separator: "\n").map(String.init)
    }

    func send(_ request: InstallRequest) async -> InstallResult {
        await InstallerClient.Route.socket(path).send(request, timeLimit: 60).result
    }

    /// A socket that every user can connect to: the listener itself checks who does.
    private static func listen(_ path: String) throws -> CInt {
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard bound == 0, Glibc.listen(descriptor, 128) == 0, chmod(path, 0o666) == 0 else {
            throw SystemError("listen on", path)
        }
        return descriptor
    }
}
