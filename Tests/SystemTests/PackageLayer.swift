import Glibc
import Host
import Simulator
import Synchronization
import TestSupport

/// The package that `make deb` built, installed once over this machine's root: the layer below every container.
enum PackageLayer {
    private static let directory = Mutex<String?>(nil)
    private static let shared = Task { try await make() }

    static var package: String { get throws { try package("upgradelinkd") } }

    /// The package of this name that `make deb` built.
    static func package(_ name: String) throws -> String {
        let directory = "\(repositoryDirectory)/.cache/deb"
        let isMeant = { (file: String) in file.hasPrefix("\(name)_") && file.hasSuffix(".deb") }
        guard let file = try? Files.list(directory).last(where: isMeant) else {
            throw Machine.Failure(description: "there is no package \(name) in \(directory): make deb builds it")
        }
        return "\(directory)/\(file)"
    }

    /// The directory with the files of the package.
    static var upper: String { get async throws { try await shared.value } }

    private static func make() async throws -> String {
        let package = try package
        let path = try Files.createTemporaryDirectory("/tmp/upgradelinkd-layer")
        directory.withLock { $0 = path }
        atexit {
            guard let path = PackageLayer.directory.withLock({ $0 }) else { return }
            for mount in ["\(path)/root/proc", "\(path)/root", path] { umount2(mount, CInt(MNT_DETACH)) }
            rmdir(path)
        }
        try await execute("mount", ["-t", "tmpfs", "-o", "size=1g,mode=755", "tmpfs", path])
        for name in ["upper", "work", "root"] { mkdir("\(path)/\(name)", 0o755) }
        try await Overlay.mount(lower: ["/"], upper: "\(path)/upper", work: "\(path)/work", at: "\(path)/root")
        try await execute("mount", ["-t", "proc", "proc", "\(path)/root/proc"])
        try await execute("cp", [package, "\(path)/root/tmp/upgradelinkd.deb"])
        try await execute("chroot", ["\(path)/root", "env", "-u", "TMPDIR", "dpkg", "-i", "/tmp/upgradelinkd.deb"])
        for (from, to) in [("\(programsDirectory)/upgradelink-sim", "usr/local/bin/upgradelink-sim")] {
            try await execute("cp", [from, "\(path)/root/\(to)"])
            chmod("\(path)/root/\(to)", 0o755)
        }
        for mount in ["\(path)/root/proc", "\(path)/root"] { umount2(mount, 0) }
        return "\(path)/upper"
    }
}

enum Overlay {
    /// - Parameter lower: the uppermost first.
    static func mount(lower: [String], upper: String, work: String, at root: String) async throws {
        let options = "lowerdir=\(lower.joined(separator: ":")),upperdir=\(upper),workdir=\(work)"
        try await execute("mount", ["-t", "overlay", "overlay", "-o", options, root])
    }
}
