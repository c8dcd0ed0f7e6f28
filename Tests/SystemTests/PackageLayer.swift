import Glibc
import Host
import Simulator
import Synchronization
import TestSupport

/// The package that `make deb` built, installed once over a root directory: the layer below every container.
enum PackageLayer {
    /// What the package is installed on.
    enum Base: Hashable, Sendable {
        /// This machine's root directory.
        case machine
        /// A clean Debian, with what the package depends on and recommends.
        case debian(Suite)
    }

    private static let layers = Mutex<[Base: Task<[String], any Error>]>([:])
    private static let directories = Mutex<[String]>([])

    static var package: String { get throws { try package("upgradelinkd") } }

    /// The package of this name that `make deb` built for this machine. Those for other releases of Debian and for other
    /// architectures are in the same directory.
    static func package(_ name: String) throws -> String {
        let directory = "\(repositoryDirectory)/.cache/deb"
        let release = try release()
        let isMeant = { (file: String) in
            file.hasPrefix("\(name)_") && file.hasSuffix("~deb\(release)u1_\(architecture).deb")
        }
        guard let file = try? Files.list(directory).last(where: isMeant) else {
            throw Machine.Failure(
                description:
                    "there is no package \(name) of Debian \(release), \(architecture), in \(directory): make deb builds it"
            )
        }
        return "\(directory)/\(file)"
    }

    /// The directories of the layer, the uppermost first.
    static func lower(_ base: Base) async throws -> [String] {
        try await layers.withLock { layers in
            let layer = layers[base] ?? Task { try await make(base) }
            layers[base] = layer
            return layer
        }.value
    }
    /// The number of this machine's release of Debian.
    private static func release() throws -> String {
        let text = String(decoding: try Files.read("/etc/os-release", limit: 65_536), as: UTF8.self)
        guard let number = text.firstMatch(of: /VERSION_ID="([0-9]+)"/)?.output.1 else {
            throw Machine.Failure(description: "/etc/os-release has no VERSION_ID: these tests need Debian")
        }
        return String(number)
    }

    #if arch(arm64)
        private static let architecture = "arm64"
    #else
        private static let architecture = "amd64"
    #endif

    private static func make(_ base: Base) async throws -> [String] {
        let package = try package
        let path = try Files.createTemporaryDirectory("/tmp/upgradelinkd-layer")
        removeAtExit(path)
        try await execute("mount", ["-t", "tmpfs", "-o", "size=2g,mode=755", "tmpfs", path])
        for name in ["base", "upper", "work", "root"] { mkdir("\(path)/\(name)", 0o755) }
        let root = "\(path)/root"
        let lower: String
        switch base {
        case .machine: lower = "/"
        case .debian(let suite):
            lower = "\(path)/base"
            try await execute("tar", ["-xf", suite.archive, "-C", lower])
        }
        try await Overlay.mount(lower: [lower], upper: "\(path)/upper", work: "\(path)/work", at: root)
        try await execute("mount", ["-t", "proc", "proc", "\(root)/proc"])
        try await execute("cp", [package, "\(root)/tmp/upgradelinkd.deb"])
        let inRoot = [root, "env", "-u", "TMPDIR", "DEBIAN_FRONTEND=noninteractive"]
        switch base {
        case .machine:
            // Without this file dpkg does not index this machine's manual pages with each package, which takes seconds.
            unlink("\(root)/var/lib/man-db/auto-update")
            // An agent may have run on this machine. What it stored stays in the lower layer.
            for path in [
                "etc/upgradelinkd", "var/lib/upgradelinkd", "var/lib/upgradelink-installer", "var/cache/upgradelinkd",
            ] {
                try Files.removeTree("\(root)/\(path)")
            }
            try await execute("chroot", inRoot + ["dpkg", "-i", "/tmp/upgradelinkd.deb"])
            try await installServer(root, from: "\(programsDirectory)/upgradelink-sim")
        case .debian(let suite):
            try await execute("tar", ["-xf", suite.packages, "-C", root])
            try await execute("chroot", inRoot + ["apt-get", "install", "-y", "-qq", "/tmp/upgradelinkd.deb"])
            try await execute("chroot", inRoot + ["apt-get", "clean"])
            try await installServer(root)
        }
        for mount in ["\(root)/proc", root] { umount2(mount, 0) }
        return ["\(path)/upper", lower]
    }

    /// Installs the simulated server. By default the one that `make deb` built, which has its own Swift runtime: there is none in
    /// a clean Debian.
    static func installServer(
        _ root: String, from server: String = "\(repositoryDirectory)/.build-release/stage/upgradelink-sim"
    ) async throws {
        try await execute("cp", [server, "\(root)/usr/local/bin/upgradelink-sim"])
        chmod("\(root)/usr/local/bin/upgradelink-sim", 0o755)
    }

    private static func removeAtExit(_ path: String) {
        let isFirst = directories.withLock { directories in
            directories.append(path)
            return directories.count == 1
        }
        guard isFirst else { return }
        atexit {
            for path in PackageLayer.directories.withLock({ $0 }) {
                for mount in ["\(path)/root/proc", "\(path)/root", path] { umount2(mount, CInt(MNT_DETACH)) }
                rmdir(path)
            }
        }
    }
}

enum Overlay {
    /// - Parameter lower: the uppermost first.
    static func mount(lower: [String], upper: String, work: String, at root: String) async throws {
        let options = "lowerdir=\(lower.joined(separator: ":")),upperdir=\(upper),workdir=\(work)"
        try await execute("mount", ["-t", "overlay", "overlay", "-o", options, root])
    }
}
