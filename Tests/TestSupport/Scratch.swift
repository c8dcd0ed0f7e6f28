public import Glibc
import Host
import Simulator
import UpdateCore

/// A private directory of a test, removed at its end.
public final class Scratch: Sendable {
    public let path: String

    public init() throws {
        path = try Files.createTemporaryDirectory("/tmp/upgradelinkd-test")
    }

    deinit {
        // An installer continues without its agent, and may still write for a moment.
        for _ in 0..<100 {
            do {
                return try Files.removeTree(path)
            } catch {
                usleep(50_000)
            }
        }
    }

    /// Mounts a small file system at a directory while `body` runs; this needs root.
    public func withSmallFileSystem<Value>(
        _ name: String, size: String, body: (String) async throws -> Value
    ) async throws -> Value {
        let directory = "\(path)/\(name)"
        try Files.createDirectory(directory)
        try await execute("mount", ["-t", "tmpfs", "-o", "size=\(size)", "tmpfs", directory])
        defer { umount2(directory, CInt(MNT_DETACH)) }
        return try await body(directory)
    }

    /// Mounts a file system of a type, with 512 MiB, at a directory while `body` runs; this needs root.
    public func withFileSystem<Value>(
        _ type: String, _ name: String, body: (String) async throws -> Value
    ) async throws -> Value {
        let (directory, image) = ("\(path)/\(name)", "\(path)/\(name).image")
        try Files.createDirectory(directory)
        try OpenFile(image, O_WRONLY | O_CREAT).truncate(to: 512 << 20)
        try await execute("mkfs.\(type)", [type == "ext4" ? "-F" : "-f", "-q", image])
        try await execute("mount", ["-o", "loop", image, directory])
        defer {
            umount2(directory, CInt(MNT_DETACH))
            unlink(image)
        }
        return try await body(directory)
    }

    /// Writes a file, and the directories above it.
    @discardableResult
    public func write(_ name: String, _ text: String, mode: mode_t = 0o600) throws -> String {
        let file = "\(path)/\(name)"
        try Files.createDirectory(Files.directory(of: file))
        try Files.replace(file, with: Array(text.utf8), mode: mode)
        chmod(file, mode)
        try Self.awaitWriters(of: file)
        return file
    }

    /// Waits until no process has a file open for writing: a process that another test starts has copies of this one's descriptors until
    /// its own program begins. Until then a program could not be executed (ETXTBSY of execve(2)), and the installer would copy an
    /// artifact. The kernel grants a lease for reading only then.
    private static func awaitWriters(of path: String) throws {
        let file = try OpenFile(path, O_RDONLY)
        let deadline = Clock.bootTime.seconds + 10
        while true {
            do throws(SystemError) {
                return try file.takeReadLease()
            } catch {
                // Another error: this file system has no leases.
                guard error.isHeld, Clock.bootTime.seconds < deadline else { return }
                sched_yield()
            }
        }
    }

    public func read(_ name: String) throws -> String {
        String(decoding: try Files.read("\(path)/\(name)", limit: 64 << 20), as: UTF8.self)
    }

    public func exists(_ name: String) -> Bool { Files.exists("\(path)/\(name)") }
}

/// Where this package's programs were built.
public var programsDirectory: String { Files.directory(of: Environment.executablePath) }

/// The update modules of this project, in one directory as the package installs them: links to the program that has some of them,
/// and the others, which are scripts.
public let modulesDirectory: String = {
    let directory = "\(programsDirectory)/update-modules"
    try? Files.createDirectory(directory, mode: 0o755)
    // It is no error if another test process has made them already.
    for name in ["file", "directory", "image"] { symlink("../upgradelink-module", "\(directory)/\(name)") }
    for name in (try? Files.list("\(repositoryDirectory)/packaging/modules")) ?? [] {
        symlink("\(repositoryDirectory)/packaging/modules/\(name)", "\(directory)/\(name)")
    }
    return directory
}()

/// Whether the programs were built with a sanitizer (make test-asan, make test-tsan), which needs more memory.
public let hasSanitizer = getenv("UPGRADELINKD_SANITIZER") != nil

/// The checkout's directory.
public var repositoryDirectory: String {
    // Tests/TestSupport/Scratch.swift is three levels down.
    Files.directory(of: Files.directory(of: Files.directory(of: #filePath)))
}

/// Waits for a condition, which is checked up to twenty times a second.
///
/// - Returns: whether it came true in time.
public func eventually(
    within seconds: Double = 20, _ condition: () async throws -> Bool
) async rethrows -> Bool {
    let deadline = Clock.bootTime.seconds + seconds
    while true {
        let start = Clock.bootTime.seconds
        if try await condition() { return true }
        let now = Clock.bootTime.seconds
        guard now < deadline else { return false }
        // A condition that starts a program must not take the processor from what it waits for.
        try? await Task.sleep(for: .seconds(min(max(0.05, 4 * (now - start)), 0.3)))
    }
}
