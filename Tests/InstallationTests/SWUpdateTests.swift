import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

@testable import Installation

/// The module "swupdate" with SWUpdate, and images that SWUpdate accepts or rejects.
@Suite struct SWUpdateTests {
    private let scratch: Scratch
    private let publisher: Publisher

    init() async throws {
        scratch = try Scratch()
        publisher = try await Publisher(directory: "\(scratch.path)/publisher")
    }

    private func image(_ version: Int, signer: String = "cert.pem") async throws -> String {
        try scratch.write("version-\(version)", "VERSION_CODE=\(version)\n")
        let line = """
            sum=$(sha256sum version-\(version) | cut -d' ' -f1)
            cat >sw-description <<END
            software = {
              version = "\(version)";
              hardware-compatibility = [ "1.0" ];
              files: ( { filename = "version-\(version)"; path = "\(scratch.path)/live-version"; sha256 = "$sum"; } );
            }
            END
            openssl cms -sign -in sw-description -out sw-description.sig -signer \(signer) -inkey key.pem \
                -outform DER -nosmimecap -binary
            printf 'sw-description\\nsw-description.sig\\nversion-\(version)\\n' | cpio -o -H crc >v\(version).swu
            """
        try await execute("sh", ["-euc", line], in: scratch.path)
        return "\(scratch.path)/v\(version).swu"
    }

    @Test func anImageIsHandedToSWUpdate() async throws {
        let certificate = [
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj",
            "/CN=test", "-days", "2", "-addext", "extendedKeyUsage=emailProtection", "-addext",
            "keyUsage=digitalSignature",
        ]
        try await execute("openssl", certificate, in: scratch.path)
        try scratch.write("live-version", "VERSION_CODE=1\n")
        let hooks = [
            "options": "-k \(scratch.path)/cert.pem -H device:1.0",
            "verify": "echo verify >>\(scratch.path)/hooks", "commit": "echo commit >>\(scratch.path)/hooks",
            "rollback": "echo rollback >>\(scratch.path)/hooks; echo VERSION_CODE=1 >\(scratch.path)/live-version",
        ]
        let boots = Boots(
            scratch, publisher, module: "swupdate", files: hooks, versionFile: "\(scratch.path)/live-version")
        let output = Collected()
        let job = try await boots.job(1, version: 2, file: try await image(2))
        let result = try await boots.boot("a", .install(job)) { output.add($0) }
        #expect(result == .needsReboot(isRollback: false), "\(output.lines)")
        #expect(output.lines.contains { $0.contains("SWUpdate was successful") }, "\(output.lines)")
        #expect(try await boots.start("b") == .committed)
        #expect(try scratch.read("hooks") == "verify\ncommit\n")
        // An unhealthy version: the operator's rollback command runs.
        let next = try await boots.job(2, version: 3, file: try await image(3))
        #expect(try await boots.boot("b", .install(next)) == .needsReboot(isRollback: false))
        let unhealthy = HealthCheck(program: ["/bin/false"], timeLimit: 1)
        #expect(try await boots.start("c", health: unhealthy) == .rebooting)
        #expect(try scratch.read("live-version") == "VERSION_CODE=1\n")
        guard case .rolledBack? = try await boots.start("d") else {
            Issue.record("not rolled back")
            return
        }
        // SWUpdate verifies the image too, and rejects one whose minisign signature is valid.
        try await execute(
            "sh", ["-c", "cp v3.swu v4.swu; printf x | dd of=v4.swu bs=1 seek=200 conv=notrunc"], in: scratch.path)
        let forged = try await boots.job(3, version: 4, file: "\(scratch.path)/v4.swu")
        let end = try await boots.boot("d", .install(forged)) { output.add($0) }
        guard case .rolledBack(let reason, _) = end else {
            Issue.record("\(end)")
            return
        }
        #expect(
            reason.hasPrefix("swupdate failed in ArtifactInstall: swupdate: Checksum WRONG"),
            "\(reason), \(output.lines)")
    }
}
