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
        // systemd.exec(5): with read-only, they can be read.
        for (home, isHidden) in [("tmpfs", true), ("yes", true), ("read-only", false), ("no", false)] {
            let hidden = Set(Sandbox(["ProtectHome": .string(home)]).hidden.keys)
            #expect(hidden == (isHidden ? ["/home", "/root", "/run/user"] : []), "\(home)")
        }
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
        try scratch.write("program", "#!/bin/absent\n")
        chmod(path, 0o755)
        #expect(InstalledProgram.problem(of: path)?.text.contains("needs /bin/absent") == true)
        // The carriage return is part of the name for the kernel.
        try scratch.write("program", "#!/bin/sh\r\n")
        chmod(path, 0o755)
        #expect(InstalledProgram.problem(of: path)?.remedy == "sed -i 's/\\r$//' \(path)")
        #expect(InstalledProgram.problem(of: scratch.path)?.text.contains("not a regular file") == true)
        #expect(InstalledProgram.isInPath("sh") && !InstalledProgram.isInPath("no-such-program"))
    }

    @Test(arguments: [
        ("", "is empty"), ("echo\n", "does not begin with #!"), ("\u{FEFF}#!/bin/sh\n", "does not begin with #!"),
        ("#!\n", "has no interpreter"), ("#! \t \n", "has no interpreter"), ("#!sh\n", "needs sh"),
        ("#!/bin\n", "needs /bin,"), ("#!/bin/sh -e\r\n", "has CRLF line ends"), ("#!/bin/sh\r", "has CRLF line ends"),
        ("#!/usr/bin/env nosuchpython\n", "needs nosuchpython"),
        ("#!/usr/bin/env -S A=1 nosuchpython -u\n", "needs nosuchpython"),
        ("#!/usr/bin/env /bin/absent\n", "needs /bin/absent"), ("\0\u{1}\u{2}", "no program that this system"),
        ("\u{7F}ELF and nothing else", "damaged program"),
    ])
    func aProgramThatTheKernelCannotExecuteIsFound(content: String, text: String) async throws {
        let path = try scratch.write("program", content, mode: 0o755)
        #expect(InstalledProgram.problem(of: path)?.text.contains(text) == true)
        guard case .couldNotStart = await Program(path, streams: .captured, timeLimit: 20).run().end else {
            // env(1) itself starts, and so does a shell with a wrong argument.
            #expect(content.contains("env") || content.contains("-e"), "the kernel executes it")
            return
        }
    }

    @Test(arguments: [
        "#!/bin/sh", "#! /bin/sh -e\n", "#!/usr/bin/env sh\n", "#!/usr/bin/env -S sh -e\n",
        "#!/usr/bin/env -i A=1 sh\n",
        "#!/usr/bin/env -u HOME sh\n", "#!/usr/bin/env -S ${SHELL} -e\n",
    ])
    func aScriptThatMayRunIsNoProblem(content: String) throws {
        #expect(InstalledProgram.problem(of: try scratch.write("program", content, mode: 0o755)) == nil)
    }

    @Test func aProgramOfAnotherMachineIsFound() throws {
        let path = "\(scratch.path)/program"
        func problem(_ change: (inout [UInt8]) -> Void) throws -> String? {
            var bytes = try Files.read("/bin/true", limit: 16 << 20)
            change(&bytes)
            try Files.replace(path, with: bytes, mode: 0o755)
            chmod(path, 0o755)
            return InstalledProgram.problem(of: path)?.text
        }
        #expect(try problem { _ in } == nil)
        #expect(InstalledProgram.problem(of: Environment.executablePath) == nil)
        // An emulator may run the programs of another machine, but not those of one that does not exist.
        #expect(try problem { ($0[18], $0[19]) = (0xFE, 0xFE) }?.contains("another kind of processor") == true)
        #expect(try problem { $0[16] = 9 }?.contains("damaged program") == true)
        #expect(try problem { $0.removeLast($0.count / 2) }?.contains("incomplete") == true)
        #expect(try problem { $0.removeLast($0.count - 30) }?.contains("damaged program") == true)
        let loader = Array("ld-linux".utf8)
        #expect(
            try problem { bytes in
                guard let at = (0..<(bytes.count - loader.count)).first(where: { bytes[$0...].starts(with: loader) })
                else { return }
                bytes[at] = UInt8(ascii: "x")
            }?.contains(/needs the loader \/.*\/xd-linux/) == true)
    }

    @Test func anEmulatorRunsProgramsOfAnotherMachine() {
        let text = "enabled\ninterpreter /usr/bin/q\nflags: F\noffset 1\nmagic 4546\nmask ff0f\n"
        let format = BinaryFormat(parsing: text)
        #expect(format?.matches([0, 0x45, 0xF6], "/x") == true && format?.matches([0, 0x45, 0xF7], "/x") == false)
        #expect(format?.matches([0, 0x45], "/x") == false)
        #expect(BinaryFormat(parsing: text.replacing("enabled", with: "disabled")) == nil)
        let named = BinaryFormat(parsing: "enabled\ninterpreter /usr/bin/q\nflags: \nextension .jar\n")
        #expect(named?.matches([], "/x.jar") == true && named?.matches([], "/x") == false)
        #expect(BinaryFormat(parsing: "enabled\n") == nil && BinaryFormat(parsing: "") == nil)
    }

    @Test(.enabled(if: geteuid() == 0)) func aGroupThatCanChangeAProgramIsNamed() throws {
        let path = try scratch.write("program", "#!/bin/sh\n", mode: 0o775)
        chown(path, 0, 12)
        #expect(InstalledProgram.problem(of: path)?.text == "the group 12 can change \(path), which root runs")
        #expect(InstalledProgram.problem(of: path)?.remedy == "chmod g-w \(path)")
        chmod(path, 0o777)
        #expect(InstalledProgram.problem(of: path)?.remedy == "chmod go-w \(path)")
    }

    // MARK: directories

    @Test func aDirectoryThatIsNoneIsFound() throws {
        let access = Access(hidden: [:], created: ["\(scratch.path)/created", "\(scratch.path)/link/created"])
        func problem(_ name: String) -> Finding? {
            access.problem(of: .init(option: "state.directory", path: "\(scratch.path)/\(name)", minimum: 0), name: "d")
        }
        #expect(problem("created") == nil && problem("new/one") == nil && problem("") == nil)
        try scratch.write("file", "x", mode: 0o777)
        #expect(problem("file")?.text == "\(scratch.path)/file (state.directory) is not a directory")
        #expect(problem("file/below")?.result == .bad)
        symlink("file", "\(scratch.path)/to-file")
        #expect(problem("to-file")?.text.contains("is not a directory") == true)
        symlink("absent", "\(scratch.path)/link")
        for name in ["link", "link/created", "link/new/one"] {
            #expect(
                problem(name)?.text == "\(scratch.path)/link (state.directory) is a symbolic link that points nowhere")
        }
        mkdir("\(scratch.path)/absent", 0o700)
        for name in ["link", "link/created", "link/new/one"] { #expect(problem(name) == nil) }
    }

    // MARK: the proxy

    private func proxy(_ url: String, _ environment: [String: String]) -> String? {
        WebURL(url).flatMap { ProxyVariables(environment).proxy(for: $0) }
    }

    @Test func aProxyOfTheEnvironmentAppliesAsForLibcurl() {
        let both = ["http_proxy": "a", "HTTPS_PROXY": "b"]
        #expect(proxy("http://h/", both) == "http_proxy" && proxy("https://h/", both) == "HTTPS_PROXY")
        #expect(proxy("http://h/", ["HTTP_PROXY": "a"]) == nil && proxy("http://h/", ["https_proxy": "a"]) == nil)
        #expect(proxy("https://h/", ["https_proxy": "", "all_proxy": "a"]) == "all_proxy")
        #expect(proxy("http://h/", ["ALL_PROXY": "a"]) == "ALL_PROXY" && proxy("http://h/", [:]) == nil)
        for (list, url, isDirect) in [
            ("*", "http://h/", true), ("a, H.example", "http://h.example/", true), ("a h", "http://h./", true),
            (".example", "http://h.example", true), ("example", "http://h.example:1/", true),
            ("example", "http://example", true), (".example", "http://example", true),
            ("ample", "http://h.example/", false), ("", "http://h/", false), (",, ", "http://h/", false),
            ("127.0.0.1", "http://127.0.0.1:80/", true), ("10.0.0.0/9", "http://10.127.0.1/", true),
            ("10.0.0.0/9", "http://10.128.0.1/", false), ("0.0.1", "http://127.0.0.1/", false),
            ("10.0.0.0/33", "http://10.0.0.0/", false), ("::1", "http://[0:0::1]:8/", true),
            ("[::1]", "http://[::1]/", true), ("fd00::/8", "http://[fd12::1]/", true),
            ("fd00::/8", "http://[fe80::1]/", false),
        ] {
            let variables = ["http_proxy": "a", "no_proxy": list]
            #expect(proxy(url, variables) == (isDirect ? nil : "http_proxy"), "\(list), \(url)")
        }
        #expect(proxy("http://h/", ["http_proxy": "a", "NO_PROXY": "h"]) == nil)
    }

    @Test func theEnvironmentOfAUnitIsThatOfTheManagerAndItsOwn() {
        func texts(_ texts: String...) -> BusValue { .array(of: "s", texts.map { .string($0) }) }
        let files = BusValue.array(
            of: "(sb)", ["/a", "/absent"].map { .structure([.string($0), .boolean(true)]) })
        let found = ProxyVariables(
            unit: [
                "Environment": texts("https_proxy=http://p:1", "A=b", "no_proxy=x"), "EnvironmentFiles": files,
                "UnsetEnvironment": texts("ALL_PROXY"),
            ],
            manager: ["Environment": texts("http_proxy=m", "https_proxy=m", "ALL_PROXY=m")]
        ) { $0 == "/a" ? "# no_proxy=c\n ; x=y\n no_proxy = \"h,i\"\n\nall_proxy='q'\r\nnothing\n" : nil }
        #expect(
            found.values
                == ["https_proxy": "http://p:1", "http_proxy": "m", "no_proxy": "h,i", "all_proxy": "q"])
    }

    // MARK: accounts

    @Test func theGroupsOfTheUnitAreKnown() {
        let sandbox = Sandbox([
            "Group": .string("a"), "SupplementaryGroups": .array(of: "s", [.string("b")]),
            "DynamicUser": .boolean(true),
        ])
        #expect(sandbox.groups == ["a", "b"] && sandbox.isDynamic && Sandbox([:]).groups.isEmpty)
    }

    @Test func whatAModuleReplacesIsChecked() throws {
        #expect(ModuleTarget.file(nil)?.text == "install.files.destination is missing")
        #expect(ModuleTarget.file("relative")?.text.contains("not an absolute path") == true)
        let user = geteuid() == 0 ? "root" : "this user"
        let shared = ModuleTarget.file("/tmp/file")
        #expect(shared?.text == "install.files.destination: others than \(user) can write to /tmp")
        // Other programs need it as it is.
        #expect(shared?.remedy == "set install.files.destination to another directory")
        let below = ModuleTarget.file("/etc/hostname/file")
        #expect(below?.text == "install.files.destination: /etc/hostname is not a directory")
        #expect(below?.remedy == "move it away, or set install.files.destination to another directory")
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
