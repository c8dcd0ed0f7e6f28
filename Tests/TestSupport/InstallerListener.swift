import Glibc
public import Host
public import UpdateCore

/// An `upgradelink-installer --listen` whose socket a test passes to it, as the service manager does.
@MainActor public final class InstallerListener {
    /// Of the socket.
    public let path: String
    private let root: String
    private var child: ChildProcess?
    /// How it ended; nil while it runs.
    public private(set) var end: ProcessEnd?

    /// - Parameter root: the directory of the device.
    public init(root: String) throws {
        self.root = root
        path = "\(root)/installer.socket"
        let socket = OpenFile(descriptor: try Self.listen(path), path: path)
        let script = """
            LISTEN_PID=$$ LISTEN_FDS=1 exec \(programsDirectory)/upgradelink-installer --listen --root \
            \(root) 2>\(root)/journal
            """
        child = ChildProcess.start(
            Program("/bin/sh", ["-c", script], streams: .pipes(passing: [socket]), timeLimit: 300)
        ) { self.end = $0 }
    }

    public func terminate() { child?.terminate() }

    /// Only SIGTERM, and only to the listener, as systemd does with `KillMode=mixed`.
    public func terminateGently() {
        for pid in (try? Files.list("/proc"))?.compactMap({ pid_t($0) }) ?? [] {
            guard let line = try? Files.read("/proc/\(pid)/cmdline", limit: 4096) else { continue }
            let words = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            if words.contains("--listen"), words.contains(root) { kill(pid, SIGTERM) }
        }
    }

    /// The lines of its standard error.
    public var journal: [String] {
        let bytes = (try? Files.read("\(root)/journal", limit: 64 << 20)) ?? []
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    public func send(_ request: InstallRequest) async -> InstallResult {
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
