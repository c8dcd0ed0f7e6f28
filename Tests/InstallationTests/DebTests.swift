import Glibc
import Host
import Simulator
import Synchronization
import TestSupport
import Testing
import UpdateCore

@testable import Installation

/// The module "deb" with dpkg, in a root directory of the test.
@Suite struct DebTests {
    private let scratch: Scratch
    private let publisher: Publisher

    init() async throws {
        scratch = try Scratch()
        publisher = try await Publisher(directory: "\(scratch.path)/publisher")
    }

    /// A package with one file, which holds the version.
    private func package(_ version: Int, says: Int? = nil, fields: String = "") async throws -> String {
        let directory = "package-\(version)"
        try scratch.write(
            "\(directory)/DEBIAN/control",
            """
            Package: player
            Version: \(version).0
            Architecture: all
            Maintainer: test <test@example.org>
            Description: test
            \(fields)
            """, mode: 0o644)
        try scratch.write("\(directory)/opt/player/version", "VERSION_CODE=\(says ?? version)\n", mode: 0o644)
        for name in ["", "/DEBIAN", "/opt", "/opt/player"] { chmod("\(scratch.path)/\(directory)\(name)", 0o755) }
        let file = "\(scratch.path)/\(directory).deb"
        try await execute("dpkg-deb", ["--root-owner-group", "--build", "\(scratch.path)/\(directory)", file])
        return file
    }

    private func debBoots(force: String = "") throws -> Boots {
        for name in ["status", "available"] { try scratch.write("root/var/lib/dpkg/\(name)", "") }
        for name in ["info", "updates", "triggers"] {
            try Files.createDirectory("\(scratch.path)/root/var/lib/dpkg/\(name)")
        }
        // These variables give dpkg(1) the root directory of the test.
        try scratch.write(
            "modules/deb",
            """
            #!/bin/sh
            export DPKG_FORCE=\(force) DPKG_ROOT=\(scratch.path)/root DPKG_ADMINDIR=\(scratch.path)/root/var/lib/dpkg
            exec \(repositoryDirectory)/packaging/modules/deb "$@"
            """, mode: 0o755)
        return Boots(
            scratch, publisher, module: "deb", directory: "\(scratch.path)/modules",
            files: ["store": "\(scratch.path)/store"], versionFile: "\(scratch.path)/root/opt/player/version")
    }

    @Test(.enabled(if: getuid() == 0, "dpkg unpacks as root only"))
    func aPackageIsInstalledAndRolledBackToThePreviousOne() async throws {
        let boots = try debBoots()
        func install(_ id: Int, _ file: String) async throws -> InstallResult {
            try await boots.boot("a", .install(try await boots.job(InstallID(id), version: id, file: file)))
        }
        #expect(try await install(2, package(2)) == .committed)
        #expect(try await install(3, package(3)) == .committed)
        #expect(try Files.list("\(scratch.path)/store") == ["player_2.0.deb", "player_3.0.deb"])
        guard case .rolledBack(let reason, _) = try await install(4, package(4, says: 9)) else {
            Issue.record("not rolled back")
            return
        }
        #expect(reason == "it was installed, but the device still reports versionCode 9")
        #expect(try scratch.read("root/opt/player/version") == "VERSION_CODE=3\n")
        #expect(try await installedVersion() == "install ok installed 3.0")
        // A file that is not a package changes nothing.
        let nonsense = try scratch.write("nonsense", "this is no package\n")
        guard case .rolledBack(let refusal, _) = try await install(5, nonsense) else {
            Issue.record("not rolled back")
            return
        }
        #expect(refusal.contains("is not a Debian format archive"), "\(refusal)")
        guard case .rolledBack(let missing, _) = try await install(5, package(5, fields: "Depends: absent\n")) else {
            Issue.record("not rolled back")
            return
        }
        #expect(
            missing
                == "deb failed in ArtifactInstall: deb: dpkg: dependency problems prevent configuration of player: "
                + "player depends on absent; however:")
        #expect(try await installedVersion() == "install ok installed 3.0")
        #expect(try await install(6, package(6)) == .committed)
        #expect(try Files.list("\(scratch.path)/store") == ["player_3.0.deb", "player_6.0.deb"])
    }

    @Test(.enabled(if: getuid() == 0, "dpkg unpacks as root only"))
    func withoutThePreviousPackageTheRollbackFails() async throws {
        let boots = try debBoots()
        #expect(
            try await boots.boot("a", .install(try await boots.job(2, version: 2, file: package(2)))) == .committed)
        try Files.removeTree("\(scratch.path)/store")
        guard
            case .failed = try await boots.boot(
                "a", .install(try await boots.job(3, version: 3, file: package(3, says: 9))))
        else {
            Issue.record("it did not fail")
            return
        }
    }

    @Test(.enabled(if: getuid() == 0, "dpkg unpacks as root only"))
    func aRollbackRemovesAPackageThatWasNotInstalledBefore() async throws {
        let boots = try debBoots()
        let job = try await boots.job(2, version: 2, file: package(2, says: 9))
        guard case .rolledBack = try await boots.boot("a", .install(job)) else {
            Issue.record("not rolled back")
            return
        }
        #expect(!scratch.exists("root/opt/player/version"))
    }

    // MARK: dpkg's locks

    /// A lock of dpkg (fcntl(2)), as apt holds it.
    private final class DpkgLock: Sendable {
        private let file: OpenFile

        init(_ name: String, _ scratch: Scratch) throws {
            file = try OpenFile("\(scratch.path)/root/var/lib/dpkg/\(name)", O_RDWR | O_CREAT)
            var lock = flock()
            lock.l_type = Int16(F_WRLCK)
            guard fcntl(file.descriptor, F_SETLK, &lock) == 0 else { throw SystemError("lock", name) }
        }

        func release() {
            var lock = flock()
            lock.l_type = Int16(F_UNLCK)
            _ = fcntl(file.descriptor, F_SETLK, &lock)
        }
    }

    private static let locks = ["lock-frontend", "lock"]

    @Test(.enabled(if: getuid() == 0, "dpkg unpacks as root only"), arguments: locks)
    func aLockIsWaitedFor(name: String) async throws {
        let boots = try debBoots()
        let lock = try DpkgLock(name, scratch)
        let waits = Mutex(false)
        let job = try await boots.job(2, version: 2, file: package(2))
        async let result = boots.boot("a", .install(job)) { report in
            if case .output(let line) = report, line.hasPrefix("waiting for dpkg's lock, which process \(getpid()) (") {
                waits.withLock { $0 = true }
            }
        }
        #expect(await eventually { waits.withLock(\.self) })
        lock.release()
        #expect(try await result == .committed)
    }

    /// Nothing is counted, and the rollback does not wait for the lock: dpkg has changed nothing.
    @Test(.enabled(if: getuid() == 0, "dpkg unpacks as root only"), arguments: locks)
    func aLockThatIsNeverReleasedIsNotTheVersionsFault(name: String) async throws {
        var boots = try debBoots()
        boots.settings.files["lockTimeout"] = "1"
        boots.settings.attempts = 1
        let lock = try DpkgLock(name, scratch)
        for id in 2...3 {
            let job = try await boots.job(InstallID(id), version: 2, file: package(2))
            guard case .interrupted(let reason, _) = try await boots.boot("a", .install(job)) else {
                Issue.record("not interrupted")
                return
            }
            #expect(reason.hasPrefix("deb failed in ArtifactInstall: deb: process \(getpid()) ("), "\(reason)")
            #expect(reason.hasSuffix(") has had dpkg's lock for 1 s: let it end, or end it"), "\(reason)")
        }
        lock.release()
        let job = try await boots.job(4, version: 2, file: package(2))
        #expect(try await boots.boot("a", .install(job)) == .committed)
    }

    /// The time limit of the state may be shorter than that for the lock.
    @Test(.enabled(if: getuid() == 0, "dpkg unpacks as root only"))
    func theTimeLimitOfAStateThatWaitsForALockCountsNothing() async throws {
        var boots = try debBoots()
        boots.settings.timeouts = ["ArtifactInstall": 4]
        boots.settings.attempts = 1
        let lock = try DpkgLock("lock-frontend", scratch)
        let result = try await boots.boot("a", .install(try await boots.job(2, version: 2, file: package(2))))
        guard case .interrupted = result else {
            Issue.record("\(result)")
            return
        }
        lock.release()
        let job = try await boots.job(3, version: 2, file: package(2))
        #expect(try await boots.boot("a", .install(job)) == .committed)
    }

    /// The lock is taken before the rollback, which waits longer than an installation does.
    @Test(.enabled(if: getuid() == 0, "dpkg unpacks as root only"))
    func aRollbackWaitsForALock() async throws {
        var boots = try debBoots()
        #expect(
            try await boots.boot("a", .install(try await boots.job(2, version: 2, file: package(2)))) == .committed)
        boots.settings.files["lockTimeout"] = "0"
        let held = Mutex<DpkgLock?>(nil)
        let waits = Mutex(false)
        let place = scratch
        let job = try await boots.job(3, version: 3, file: package(3, says: 9))
        async let result = boots.boot("a", .install(job)) { report in
            switch report {
            case .state("the version check"): held.withLock { $0 = try? DpkgLock("lock-frontend", place) }
            case .output(let line) where line.hasPrefix("waiting for dpkg's lock"): waits.withLock { $0 = true }
            default: break
            }
        }
        #expect(await eventually { waits.withLock(\.self) })
        held.withLock { $0?.release() }
        guard case .rolledBack = try await result else {
            Issue.record("not rolled back")
            return
        }
        #expect(try await installedVersion() == "install ok installed 2.0")
    }

    /// A script of the package that runs dpkg finds the lock of the dpkg that runs the script: that is the version's fault.
    @Test(.enabled(if: getuid() == 0, "dpkg unpacks as root only"))
    func aScriptThatRunsDpkgIsNotWaitedFor() async throws {
        let boots = try debBoots(force: "script-chrootless")
        try scratch.write(
            "package-2/DEBIAN/preinst",
            "#!/bin/sh\nunset DPKG_FRONTEND_LOCKED DPKG_ROOT\nexec dpkg --admindir=\(scratch.path)/root/var/lib/dpkg --configure --pending\n",
            mode: 0o755)
        let result = try await boots.boot("a", .install(try await boots.job(2, version: 2, file: package(2))))
        guard case .rolledBack(let reason, _) = result else {
            Issue.record("\(result)")
            return
        }
        #expect(reason.contains("locked by another"), "\(reason)")
    }

    /// Another user could plant a package with the version before, which a rollback would install as root.
    @Test(.enabled(if: getuid() == 0, "dpkg unpacks as root only"), arguments: ["", "/packages"])
    func aStoreThatOthersCanWriteToIsRefused(below: String) async throws {
        var boots = try debBoots()
        boots.settings.files["store"] = "\(scratch.path)/store\(below)"
        try Files.createDirectory("\(scratch.path)/store\(below)", mode: 0o755)
        #expect(
            try await boots.boot("a", .install(try await boots.job(2, version: 2, file: package(2)))) == .committed)
        chown("\(scratch.path)/store", 65_534, 65_534)
        let next = try await boots.boot("a", .install(try await boots.job(3, version: 3, file: package(3))))
        guard case .rolledBack(let reason, _) = next else {
            Issue.record("\(next)")
            return
        }
        #expect(
            reason
                == "deb failed in ArtifactInstall: deb: others than root can write to \(scratch.path)/store: "
                + "chown root and chmod go-w it, or set install.files.store")
        #expect(try await installedVersion() == "install ok installed 2.0")
    }

    /// A link of another user on the way to the store is not followed by any state, and no directory is created behind it.
    @Test(.enabled(if: getuid() == 0), arguments: ["ArtifactInstall", "ArtifactCommit", "Cleanup"])
    func aPlantedLinkToTheStoreIsRefused(state: String) async throws {
        _ = try debBoots()
        try scratch.write("elsewhere/player_1.0.deb", "precious")
        symlink("\(scratch.path)/elsewhere", "\(scratch.path)/way")
        lchown("\(scratch.path)/way", 65_534, 65_534)
        try Files.createDirectory("\(scratch.path)/tree/tmp")
        try scratch.write("tree/tmp/name", "player\n")
        try scratch.write("tree/tmp/kept", "\(scratch.path)/way/player_2.0.deb\n")
        try scratch.write("tree/files/store", "\(scratch.path)/way\(state == "Cleanup" ? "" : "/packages")")
        try Files.link(try await package(2), as: "\(scratch.path)/tree/files/artifact")
        let output = try await execute(
            "sh", ["-c", "modules/deb \(state) \(scratch.path)/tree 2>&1 || echo failed"], in: scratch.path)
        #expect(
            output.hasSuffix(
                "deb: \(scratch.path)/way is a symbolic link of another user: remove it, or set install.files.store\nfailed\n"
            ), "\(output)")
        #expect(try Files.list("\(scratch.path)/elsewhere") == ["player_1.0.deb"])
    }

    private func installedVersion() async throws -> String {
        let admin = "--admindir=\(scratch.path)/root/var/lib/dpkg"
        return try await execute("dpkg-query", [admin, "--show", "--showformat", "${Status} ${Version}", "player"])
    }
}
