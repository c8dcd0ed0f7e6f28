import Glibc
import Host
import Systemd
import TestSupport
import Testing
import UpdateCore

@testable import DeviceChecks

/// The parts of the checks that decide without the device. Tests/SystemTests/DoctorTests.swift plants faults in a device.
@Suite struct DeviceCheckTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    @Test func aKeyIDIsShownAsMinisignPrintsIt() {
        // The key and its number as minisign's own documentation has them.
        #expect(
            KeyID(of: "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3")?.description == "E7620F1842B4E81F")
        #expect(
            KeyID(of: "RWQAAAAAAAAAAAAAYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3")?.description == "0000000000000000")
        #expect(KeyID(of: "RWQf6LRC") == nil && KeyID(of: "?") == nil)
    }

    @Test func aFindingIsOneLineAndHasTheSameFieldsInJSON() throws {
        let finding = Finding.bad("keys", "a\nb\u{1B}[31m http://user:word@host/", nil)
        #expect(!finding.text.contains("\n") && !finding.text.contains("\u{1B}") && !finding.text.contains("word"))
        let json = String(decoding: try JSONLine.encode(Finding.ok("keys", "x")), as: UTF8.self)
        #expect(json == "{\"name\":\"keys\",\"remedy\":null,\"result\":\"ok\",\"text\":\"x\"}\n")
        #expect(try JSONLine.decode(Finding.self, from: Array(json.utf8)) == .ok("keys", "x"))
        #expect(Finding.bad("a", "b", "c").line == "b; c" && Finding.skip("a", "b").line == "b")
    }

    // MARK: the sandbox

    @Test func theUnitOfThePackageHidesHomeAndTemporaryFiles() {
        let sandbox = Sandbox([
            "User": .string("upgradelinkd"), "Group": .string("upgradelinkd"), "ProtectHome": .string("yes"),
            "ProtectSystem": .string("strict"), "PrivateTmp": .boolean(true),
            "StateDirectory": .array(of: "s", [.string("upgradelinkd")]),
            "CacheDirectory": .array(of: "s", [.string("upgradelinkd")]),
            "BindReadOnlyPaths": .array(
                of: "(ssbt)",
                [.structure([.string("/proc"), .string("/run/p"), .boolean(false), .uint64(16384)])]),
        ])
        #expect(sandbox.user == "upgradelinkd")
        #expect(Set(sandbox.hidden.keys) == ["/home", "/root", "/run/user", "/tmp", "/var/tmp"])
        #expect(sandbox.created == ["/var/lib/upgradelinkd", "/var/cache/upgradelinkd"])
        for property in [
            "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "Group=upgradelinkd",
            "ReadWritePaths=-/var/lib/upgradelinkd", "BindReadOnlyPaths=/proc:/run/p",
        ] {
            #expect(sandbox.properties.contains(property), "\(property) in \(sandbox.properties)")
        }
    }

    @Test func aDropInChangesWhatIsHidden() {
        let sandbox = Sandbox([
            "User": .string("other"), "ProtectHome": .string("no"), "PrivateTmp": .boolean(false),
            "InaccessiblePaths": .array(of: "s", [.string("-/opt/a b")]),
            "TemporaryFileSystem": .array(of: "(ss)", [.structure([.string("/srv"), .string("ro")])]),
        ])
        #expect(sandbox.user == "other" && Set(sandbox.hidden.keys) == ["/opt/a b", "/srv"])
        #expect(sandbox.properties.contains("InaccessiblePaths=\"-/opt/a b\""), "\(sandbox.properties)")
        #expect(Sandbox([:]).properties.isEmpty && Sandbox([:]).user == nil)
    }

    @Test func theRemedyNamesWhatHidesAFile() throws {
        let access = Access(hidden: ["/home": "ProtectHome=yes"], created: [])
        let error = SystemError("read", "/home/u/version", code: EACCES)
        let remedy = access.remedy(for: error, path: "/home/u/version", option: "device.versionFile")
        #expect(remedy.contains("ProtectHome=yes") && remedy.contains("set device.versionFile"), "\(remedy)")
        #expect(access.hiding("/homes/version") == nil)
        let missing = access.remedy(
            for: SystemError("read", "/x", code: ENOENT), path: "/x", option: "device.versionFile")
        #expect(missing == "create it, or set device.versionFile")
    }

    // MARK: clock

    private func clock(_ now: Double, server: Double?, isCompared: Bool = true, ntp: Bool? = true) -> Finding {
        ClockFinding.finding(
            now: WallTime(unixSeconds: now), built: WallTime(unixSeconds: 1000),
            server: server.map { WallTime(unixSeconds: $0) }, isCompared: isCompared, isSynchronized: ntp
        ) { "T\(Int($0.unixSeconds))" }
    }

    @Test func theClockHasOneFindingWithTheAmount() {
        #expect(clock(5000, server: nil).result == .ok)
        #expect(clock(5000, server: nil).text == "T5000; the server accepts it; synchronized")
        #expect(clock(5000, server: nil, isCompared: false, ntp: nil).text.contains("not compared"))
        let behind = clock(5000, server: 5000 + 7200)
        #expect(behind.result == .bad && behind.text == "T5000 is 2 h behind the server's time, T12200")
        #expect(clock(5000, server: 4940).text == "T5000 is 1 min ahead of the server's time, T4940")
        #expect(clock(5000, server: 4940, ntp: false).remedy?.contains("set-ntp true") == true)
        #expect(
            clock(400, server: nil).result == .bad && clock(400, server: nil).text.contains("at least 10 min behind"))
    }

    // MARK: programs and targets

    @Test func aProgramThatRootRunsIsChecked() throws {
        let path = "\(scratch.path)/program"
        #expect(InstalledProgram.problem(of: path)?.text.contains("does not exist") == true)
        try scratch.write("program", "#!/bin/sh -e\n")
        chmod(path, 0o644)
        #expect(InstalledProgram.problem(of: path)?.remedy == "chmod +x \(path)")
        chmod(path, 0o755)
        #expect(InstalledProgram.problem(of: path) == nil)
        chmod(path, 0o757)
        #expect(InstalledProgram.problem(of: path)?.text.contains("every user can change") == true)
        chmod(path, 0o755)
        #expect(InstalledProgram.interpreter(of: path) == "/bin/sh")
        try scratch.write("program", "#!/bin/absent\n")
        chmod(path, 0o755)
        #expect(InstalledProgram.problem(of: path)?.text.contains("needs /bin/absent") == true)
        // The carriage return is part of the name for the kernel.
        try scratch.write("program", "#!/bin/sh\r\n")
        chmod(path, 0o755)
        #expect(InstalledProgram.problem(of: path) != nil)
        #expect(InstalledProgram.problem(of: scratch.path)?.text.contains("not a regular file") == true)
        #expect(InstalledProgram.isInPath("sh") && !InstalledProgram.isInPath("no-such-program"))
    }

    @Test func whatAModuleReplacesIsChecked() throws {
        #expect(ModuleTarget.file(nil)?.text == "install.files.destination is missing")
        #expect(ModuleTarget.file("relative")?.text.contains("not an absolute path") == true)
        #expect(ModuleTarget.file("/tmp/file")?.text.contains("others than root can write to /tmp") == true)
        #expect(ModuleTarget.file("/etc/hostname") == nil && ModuleTarget.file("/etc/no-such-file") == nil)
        #expect(ModuleTarget.file("/etc")?.text.contains("is not a file") == true)
        #expect(ModuleTarget.link("/etc", versions: nil)?.text.contains("not a symbolic link") == true)
        #expect(ModuleTarget.link("/opt/no-such-link", versions: nil) == nil)
        #expect(ModuleTarget.link("/opt/no-such-link", versions: "versions")?.text.contains("not an absolute") == true)
    }

    private func problem(
        _ text: String, _ content: AgentNeeds.File.Content, option: String = "server.caBundle", now: Double = 0
    ) -> Finding? {
        PEM.problem(
            of: Array(text.utf8), .init(option: option, path: "/x", content: content), name: "certificates",
            now: WallTime(unixSeconds: now)
        ) { "T\(Int($0.unixSeconds))" }
    }

    @Test func certificatesAndKeysAreInPEM() {
        #expect(problem("# key\n-----BEGIN RSA PRIVATE KEY-----\n", .privateKey) == nil)
        #expect(
            problem("-----BEGIN CERTIFICATE-----\n", .privateKey)?.text
                == "server.caBundle: /x has no private key in PEM")
        #expect(problem("", .certificates)?.result == .bad && problem("", .any) == nil)
        // What cannot be read is left to libcurl.
        #expect(problem("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", .certificates) == nil)
    }

    @Test func anExpiredCertificateIsFound() async throws {
        func make(_ name: String, days: Int) async throws -> String {
            let path = "\(scratch.path)/\(name)"
            let request = [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=x",
            ]
            let end = Program(
                "openssl", request + ["-days", "\(days)", "-keyout", "\(path).key", "-out", path], streams: .captured,
                timeLimit: 20)
            #expect(await end.run().end == .exited(0))
            return String(decoding: try Files.read(path, limit: 65_536), as: UTF8.self)
        }
        let (short, long) = (try await make("short", days: 10), try await make("long", days: 20_000))
        let now = Clock.wallTime.unixSeconds
        let day = 86_400.0
        let found = try #require(Certificate.expiries(inPEM: short).first ?? nil)
        #expect(abs(found.unixSeconds - now - 10 * day) < 60)
        // From the year 2050 on, the time has another form.
        let late = try #require(Certificate.expiries(inPEM: long).first ?? nil)
        #expect(abs(late.unixSeconds - now - 20_000 * day) < 60)
        #expect(problem(long, .certificates, now: now) == nil)
        #expect(problem(short, .certificates, now: now)?.result == .warn)
        #expect(
            problem(short, .certificates, now: now + 11 * day)?.text.hasPrefix("server.caBundle: /x expired T") == true)
        // Any certificate of a bundle may be the server's; only the first one is the client's.
        #expect(problem(short + long, .certificates, now: now + 11 * day) == nil)
        let client = problem(short + long, .certificates, option: "server.clientCertificate", now: now + 11 * day)
        #expect(client?.result == .bad)
    }
}
