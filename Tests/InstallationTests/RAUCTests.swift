import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

@testable import Installation

/// The module "rauc" with RAUC, its service, its bundles and two slots.
@Suite struct RAUCTests {
    private let scratch: Scratch
    private let publisher: Publisher

    init() async throws {
        scratch = try Scratch()
        publisher = try await Publisher(directory: "\(scratch.path)/publisher")
    }

    /// Two files are the slots; a script simulates the bootloader.
    private func prepareRAUC() async throws {
        let certificate = [
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj",
            "/CN=test", "-days", "2",
        ]
        try await execute("openssl", certificate, in: scratch.path)
        try scratch.write(
            "system.conf",
            """
            [system]
            compatible=device
            bootloader=custom
            mountprefix=\(scratch.path)/mnt
            statusfile=\(scratch.path)/rauc-status
            [keyring]
            path=\(scratch.path)/cert.pem
            [handlers]
            bootloader-custom-backend=\(scratch.path)/bootloader
            [slot.rootfs.0]
            device=\(scratch.path)/slot-A
            type=raw
            bootname=A
            [slot.rootfs.1]
            device=\(scratch.path)/slot-B
            type=raw
            bootname=B

            """)
        try scratch.write(
            "bootloader",
            """
            #!/bin/sh
            cd \(scratch.path)
            case "$1" in
                get-primary) cat primary ;;
                set-primary) echo "$2" >primary ;;
                get-state) cat "state-$2" ;;
                set-state) echo "$3" >"state-$2" ;;
            esac
            """, mode: 0o755)
        try Files.createDirectory("\(scratch.path)/mnt")
        for (name, text) in [("primary", "A\n"), ("state-A", "good\n"), ("state-B", "bad\n")] {
            try scratch.write(name, text)
        }
        for slot in ["A", "B"] { try await execute("truncate", ["-s", "1M", "\(scratch.path)/slot-\(slot)"]) }
    }

    private func bundle(_ version: Int) async throws -> String {
        let content = "VERSION_CODE=\(version)\n" + String(repeating: "x", count: 4096)
        try scratch.write("bundle-\(version)/rootfs.img", content)
        try scratch.write(
            "bundle-\(version)/manifest.raucm",
            "[update]\ncompatible=device\nversion=\(version)\n[image.rootfs]\nfilename=rootfs.img\n")
        let file = "\(scratch.path)/v\(version).raucb"
        try await execute(
            "rauc", ["bundle", "--cert", "cert.pem", "--key", "key.pem", "bundle-\(version)", file], in: scratch.path)
        return file
    }

    /// The slot that the bootloader chooses.
    private var primary: String { ((try? scratch.read("primary")) ?? "").filter { $0 != "\n" } }

    /// A boot from a slot: RAUC's service runs, and the device reports the slot's version.
    private func boot<Value: Sendable>(
        from slot: String, _ body: @escaping @Sendable (Boots) async throws -> Value
    ) async throws -> Value {
        let policy = try scratch.write(
            "policy.conf",
            """
            <busconfig><policy context="default"><allow own="*"/><allow send_destination="*"/></policy></busconfig>
            """)
        try Files.createDirectory("\(scratch.path)/bus-\(slot)")
        return try await PrivateBus.run(directory: "\(scratch.path)/bus-\(slot)", policies: [policy]) { bus in
            try await RunningService.run(
                ["rauc", "--conf=\(scratch.path)/system.conf", "--override-boot-slot=\(slot)", "service"],
                environment: ["DBUS_SYSTEM_BUS_ADDRESS": bus.address], log: "\(scratch.path)/rauc.log"
            ) {
                let isUp = await eventually {
                    (try? await bus.busctl(["status", "de.pengutronix.rauc"]))?.isSuccess == true
                }
                let log = (try? scratch.read("rauc.log")) ?? ""
                try #require(isUp, "\(log)")
                try scratch.write(
                    "modules/rauc",
                    """
                    #!/bin/sh
                    export DBUS_SYSTEM_BUS_ADDRESS='\(bus.address)'
                    exec \(repositoryDirectory)/packaging/modules/rauc "$@"
                    """, mode: 0o755)
                return try await body(
                    Boots(
                        scratch, publisher, module: "rauc", directory: "\(scratch.path)/modules",
                        versionFile: "\(scratch.path)/slot-\(slot)"))
            }
        }
    }

    @Test(.enabled(if: getuid() == 0, "RAUC mounts its bundles as root only"))
    func aBundleIsWrittenToTheOtherSlotAndCommittedFromThere() async throws {
        try await prepareRAUC()
        let file = try await bundle(2)
        let first = try await boot(from: "A") { boots in
            let job = try await boots.job(1, version: 2, file: file)
            let output = Collected()
            let result = try await boots.boot("a", .install(job)) { output.add($0) }
            #expect(output.lines.contains { $0.contains("100% Installing done") }, "\(output.lines)")
            return result
        }
        #expect(first == .needsReboot(isRollback: false))
        #expect(primary == "B")
        let second = try await boot(from: "B") { boots in try await boots.start("b") }
        #expect(second == .committed)
        #expect(primary == "B")
        #expect(try scratch.read("state-B") == "good\n")
    }

    @Test(.enabled(if: getuid() == 0, "RAUC mounts its bundles as root only"))
    func anUnhealthyBundleIsRolledBackToThePreviousSlot() async throws {
        try await prepareRAUC()
        let file = try await bundle(2)
        let unhealthy = HealthCheck(program: ["/bin/false"], timeLimit: 1)
        _ = try await boot(from: "A") { boots in
            try await boots.boot("a", .install(try await boots.job(1, version: 2, file: file)))
        }
        #expect(try await boot(from: "B") { boots in try await boots.start("b", health: unhealthy) } == .rebooting)
        #expect(primary == "A")
        #expect(try scratch.read("state-B") == "bad\n")
        // The bootloader counts the boot that ends the rollback, as it counts each one.
        try scratch.write("state-A", "bad\n")
        let third = try await boot(from: "A") { boots in try await boots.start("c") }
        guard case .rolledBack? = third else {
            Issue.record("\(String(describing: third))")
            return
        }
        #expect(try scratch.read("state-A") == "good\n")
        // The module also detects that the bootloader chose the previous slot by itself.
        _ = try await boot(from: "A") { boots in
            try await boots.boot("c", .install(try await boots.job(2, version: 2, file: file)))
        }
        let fallen = try await boot(from: "A") { boots in try await boots.start("d") }
        #expect(fallen == .rebooting)
        #expect(primary == "A")
    }

    @Test(.enabled(if: getuid() == 0, "RAUC mounts its bundles as root only"))
    func aBundleThatRAUCRejectsIsNotInstalled() async throws {
        try await prepareRAUC()
        let file = try await bundle(2)
        // The keyring no longer has the certificate of the bundle; the minisign signature is valid.
        try await execute(
            "openssl",
            ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "k2", "-out", "cert.pem", "-subj", "/CN=x"],
            in: scratch.path)
        let result = try await boot(from: "A") { boots in
            try await boots.boot("a", .install(try await boots.job(1, version: 2, file: file)))
        }
        guard case .rolledBack(let reason, _) = result else {
            Issue.record("\(result)")
            return
        }
        #expect(
            reason.hasPrefix("rauc failed in ArtifactInstall: rauc: ")
                && reason.contains("signature verification failed"), "\(reason)")
        #expect(primary == "A")
    }
}
