import Glibc
import Host
import Simulator
import TestSupport
import Testing

/// The modules that are scripts, and the bootloaders' programs: which commands they run, in which order, and what they sync. Small
/// programs stand in for `rauc`, `busctl` and `swupdate`; InstallationTests has the real ones.
@Suite struct ModuleScriptTests {
    private let scratch: Scratch
    private var path: String { scratch.path }

    init() throws {
        scratch = try Scratch()
        for directory in ["tree/tmp", "tree/files", "bin"] { try Files.createDirectory("\(scratch.path)/\(directory)") }
    }

    /// A program in PATH that writes its arguments to `commands`.
    private func program(_ name: String, _ script: String = "") throws {
        try scratch.write("bin/\(name)", "#!/bin/sh\necho \"\(name) $*\" >>\(path)/commands\n\(script)\n", mode: 0o755)
    }

    private var commands: [String] {
        ((try? scratch.read("commands")) ?? "").split(separator: "\n").map(String.init)
    }

    struct End {
        var status: CInt
        var output: String
        var calls: CallLog
    }

    /// Runs a script with arguments.
    private func run(_ script: String, _ arguments: [String]) async throws -> End {
        let log = try CallLog(scratch)
        unlink("\(path)/commands")
        let (lines, errors, end) = await Program(
            "/usr/bin/env",
            ["PATH=\(path)/bin:/usr/sbin:/usr/bin:/sbin:/bin"] + log.assignments
                + ["\(repositoryDirectory)/packaging/\(script)"] + arguments, streams: .captured, timeLimit: 30
        ).run()
        guard case .exited(let status) = end else { throw ModuleRig.Failure(description: "\(end)") }
        return End(status: status, output: (lines + errors).joined(separator: "\n"), calls: log)
    }

    private func module(_ name: String, _ state: String) async throws -> End {
        try await run("modules/\(name)", [state, "\(path)/tree"])
    }

    // MARK: rauc

    /// - Parameter booted: the name of the slot that runs.
    private func rauc(booted: String = "rootfs.0", install: String = "exit 0") throws {
        try scratch.write("tree/files/artifact", "bundle")
        try program(
            "rauc",
            """
            case "$1 $2" in
                "status --output-format=shell")
                    echo "RAUC_SYSTEM_SLOTS='rootfs.0 rootfs.1'"
                    echo "RAUC_SLOT_STATE_1=$([ \(booted) = rootfs.0 ] && echo booted || echo inactive)"
                    echo "RAUC_SLOT_STATE_2=$([ \(booted) = rootfs.1 ] && echo booted || echo inactive)" ;;
                install\\ *) \(install) ;;
            esac
            """)
        // Its service is busy at first.
        try program(
            "busctl", "[ -e \(path)/idle ] && echo 's \"idle\"' || { touch \(path)/idle; echo 's \"installing\"'; }")
    }

    private static let operation =
        "busctl get-property de.pengutronix.rauc / de.pengutronix.rauc.Installer Operation"
    private static let status = "rauc status --output-format=shell"

    @Test func raucRemembersTheSlotBeforeItInstalls() async throws {
        try rauc(install: "cat \(scratch.path)/tree/tmp/before >\(scratch.path)/seen; exit 0")
        let end = try await module("rauc", "ArtifactInstall")
        #expect(end.status == 0, "\(end.output)")
        // It waits until the service is idle.
        #expect(
            commands == [Self.operation, Self.operation, Self.status, "rauc install \(path)/tree/files/artifact"])
        #expect(try scratch.read("seen") == "rootfs.0\n")
        #expect(
            end.calls.has("sync tree/tmp/before.new", "rename tree/tmp/before.new -> tree/tmp/before", "sync tree/tmp"),
            "\(end.calls.calls)")
    }

    @Test func raucsReasonIsTheLastError() async throws {
        try rauc(install: "echo 'LastError: first'; echo 'LastError: second'; exit 1")
        let failed = try await module("rauc", "ArtifactInstall")
        #expect(failed.status == 1 && failed.output.hasSuffix("rauc: second"), "\(failed.output)")
        try rauc(install: "exit 1")
        let silent = try await module("rauc", "ArtifactInstall")
        #expect(silent.status == 1 && silent.output.hasSuffix("rauc: RAUC did not install the bundle"))
        // A failure that an earlier try left is not this one's.
        try rauc()
        try scratch.write("tree/tmp/failed", "")
        #expect(try await module("rauc", "ArtifactInstall").status == 0)
        unlink("\(path)/tree/files/artifact")
        let missing = try await module("rauc", "ArtifactInstall")
        #expect(missing.status == 1 && missing.output == "rauc: set install.fileName = \"artifact\"")
    }

    @Test func raucsRollbackActivatesTheSlotBefore() async throws {
        try rauc(booted: "rootfs.1")
        #expect(try await module("rauc", "ArtifactRollback").status == 0)
        #expect(commands == [], "nothing was installed")
        try scratch.write("tree/tmp/before", "rootfs.0\n")
        #expect(try await module("rauc", "ArtifactRollback").status == 0)
        #expect(
            commands == [
                Self.operation, Self.operation, Self.status, "rauc status mark-bad booted",
                "rauc status mark-active rootfs.0",
            ])
        // The slot that runs is the one before: it stays good.
        try rauc(booted: "rootfs.0")
        #expect(try await module("rauc", "ArtifactRollback").status == 0)
        #expect(commands.suffix(2) == [Self.status, "rauc status mark-active rootfs.0"])
    }

    @Test(arguments: ["rootfs.0", "rootfs.1"]) func raucKnowsWhichSlotRuns(booted: String) async throws {
        try rauc(booted: booted)
        try scratch.write("tree/tmp/before", "rootfs.0\n")
        let isNew = booted == "rootfs.1"
        let verified = try await module("rauc", "ArtifactVerifyReboot")
        #expect(verified.status == (isNew ? 0 : 1))
        if !isNew { #expect(verified.output == "rauc: the device still runs from rootfs.0") }
        let back = try await module("rauc", "ArtifactVerifyRollbackReboot")
        #expect(back.status == (isNew ? 1 : 0))
        #expect(commands == (isNew ? [Self.status] : [Self.status, "rauc status mark-good booted"]))
        if isNew { #expect(back.output == "rauc: the device runs from rootfs.1, and not from rootfs.0") }
        #expect(try await module("rauc", "ArtifactCommit").status == 0)
        #expect(commands == ["rauc status mark-good booted"])
        #expect(try await module("rauc", "NeedsArtifactReboot").output == "Automatic")
        #expect(try await module("rauc", "SupportsRollback").output == "Yes")
    }

    @Test func raucWithoutABootedSlotFails() async throws {
        try rauc(booted: "other")
        let end = try await module("rauc", "ArtifactInstall")
        #expect(end.status != 0 && end.output.contains("rauc status names no booted slot"), "\(end.output)")
        #expect(!commands.contains { $0.hasPrefix("rauc install") })
        #expect(!scratch.exists("tree/tmp/before"))
    }

    // MARK: swupdate

    @Test(arguments: [
        ("echo 'SWUPDATE successful !'; exit 1", 0, nil), ("exit 0", 1, "swupdate: SWUpdate did not install the image"),
        (
            "echo 'SWUPDATE successful !'; echo '[ERROR] : SWUPDATE failed [0] ERROR : no space'", 1,
            "swupdate: no space"
        ),
        ("echo '[ERROR] : first'; echo '[ERROR] : second'", 1, "swupdate: first"),
    ])
    func swupdatesOutputIsTheResult(script: String, status: CInt, reason: String?) async throws {
        try scratch.write("tree/files/artifact", "image")
        try scratch.write("tree/files/options", "-H device:1.0 -k key")
        try program("swupdate", script)
        let end = try await module("swupdate", "ArtifactInstall")
        #expect(end.status == status, "\(end.output)")
        if let reason { #expect(end.output.hasSuffix(reason), "\(end.output)") }
        #expect(commands == ["swupdate -l 4 -H device:1.0 -k key -i \(path)/tree/files/artifact"])
    }

    @Test func swupdateRunsTheOperatorsCommands() async throws {
        for (state, hook) in [
            ("ArtifactVerifyReboot", "verify"), ("ArtifactCommit", "commit"), ("ArtifactRollback", "rollback"),
        ] {
            #expect(try await module("swupdate", state).status == 0, "there is no command")
            try scratch.write("tree/files/\(hook)", "echo \(hook) >>\(path)/commands\nfalse\ntrue\n")
            #expect(try await module("swupdate", state).status != 0)
            #expect(commands == [hook])
        }
        #expect(try await module("swupdate", "SupportsRollback").output == "Yes")
        unlink("\(path)/tree/files/rollback")
        #expect(try await module("swupdate", "SupportsRollback").output == "No")
        #expect(try await module("swupdate", "NeedsArtifactReboot").output == "Automatic")
        try scratch.write("tree/files/restart", "No\n")
        #expect(try await module("swupdate", "NeedsArtifactReboot").output == "No")
    }

    // MARK: deb

    private func package(_ version: String, name: String = "player") async throws {
        try scratch.write(
            "package/DEBIAN/control",
            "Package: \(name)\nVersion: \(version)\nArchitecture: all\nMaintainer: t <t@example.org>\nDescription: t\n",
            mode: 0o644)
        for directory in ["", "/DEBIAN"] { chmod("\(path)/package\(directory)", 0o755) }
        try await execute(
            "dpkg-deb", ["--root-owner-group", "-Znone", "--build", "package", "tree/files/artifact"], in: path)
    }

    @Test(.enabled(if: isRoot, "the store must be root's")) func debKeepsThePackageOfTheCommit() async throws {
        try await package("1:2.0")
        try scratch.write("tree/files/store", "\(path)/store")
        let end = try await module("deb", "ArtifactCommit")
        #expect(end.status == 0, "\(end.output)")
        #expect(
            end.calls.has(
                "sync store/player_1:2.0.deb.new", "rename store/player_1:2.0.deb.new -> store/player_1:2.0.deb",
                "sync store", "sync tree/tmp/kept.new", "rename tree/tmp/kept.new -> tree/tmp/kept", "sync tree/tmp"),
            "\(end.calls.calls)")
        // Cleanup keeps this package and the one before, and those of others.
        for (version, file) in [("1.0", "player_1.0"), ("1.5", "player_1.5")] {
            try await package(version)
            rename("\(path)/tree/files/artifact", "\(path)/store/\(file).deb")
        }
        try scratch.write("store/other_1.0.deb", "x")
        try scratch.write("tree/tmp/name", "player\n")
        try scratch.write("tree/tmp/before", "1.5\n")
        #expect(try await module("deb", "Cleanup").status == 0)
        #expect(try Files.list("\(path)/store") == ["other_1.0.deb", "player_1.5.deb", "player_1:2.0.deb"])
        unlink("\(path)/tree/tmp/kept")
        try scratch.write("tree/tmp/before", "0.1\n")
        #expect(try await module("deb", "Cleanup").status == 0, "nothing was committed, and nothing is removed")
        #expect(try Files.list("\(path)/store").count == 3)
    }

    /// dpkg itself is replaced: what it would do is only written down.
    @Test(.enabled(if: isRoot, "the store must be root's")) func debRemembersTheVersionBefore() async throws {
        try await package("2.0")
        try scratch.write("tree/files/store", "\(path)/store")
        try program("dpkg-query", "echo 'installed 1.0'")
        try program("dpkg", "cat \(path)/tree/tmp/name \(path)/tree/tmp/before >>\(path)/commands")
        let end = try await module("deb", "ArtifactInstall")
        #expect(end.status == 0, "\(end.output)")
        #expect(
            commands.suffix(6) == [
                "dpkg --force-confdef --force-confold --configure --pending", "player", "1.0",
                "dpkg --force-confdef --force-confold --install \(path)/tree/files/artifact", "player", "1.0",
            ], "\(commands)")
        #expect(
            end.calls.has(
                "sync tree/tmp/name.new", "rename tree/tmp/name.new -> tree/tmp/name", "sync tree/tmp",
                "sync tree/tmp/before.new", "rename tree/tmp/before.new -> tree/tmp/before", "sync tree/tmp", "sync-all"
            ),
            "\(end.calls.calls)")
        #expect(end.output.contains("a rollback to player 1.0 is not possible"))
        #expect(try await module("deb", "SupportsRollback").output == "No")
        #expect(try await module("deb", "ArtifactRollback").status == 0, "the version before is installed")
        try program("dpkg-query", "echo 'installed 2.0'")
        let impossible = try await module("deb", "ArtifactRollback")
        #expect(
            impossible.status == 1 && impossible.output.hasSuffix("not in \(path)/store or /var/cache/apt/archives"))
        try await package("1.0")
        rename("\(path)/tree/files/artifact", "\(path)/store/player_1.0.deb")
        #expect(try await module("deb", "SupportsRollback").output == "Yes")
        let back = try await module("deb", "ArtifactRollback")
        #expect(back.status == 0 && back.calls.has("sync-all"), "\(back.output)")
        #expect(
            commands.contains(
                "dpkg --force-confdef --force-confold --install --force-downgrade \(path)/store/player_1.0.deb"))
        // Waiting for dpkg's locks was in vain: nothing is to be taken back.
        try scratch.write("tree/tmp/untouched", "yes\n")
        #expect(try await module("deb", "ArtifactRollback").status == 0)
        #expect(!commands.contains { $0.hasPrefix("dpkg ") })
    }

    @Test(arguments: ["", "x", "1x", "-1"]) func debsLockTimeoutMustBeANumber(text: String) async throws {
        try scratch.write("tree/files/lockTimeout", "\(text)\n")
        let end = try await module("deb", "NeedsArtifactReboot")
        #expect(end.status == 1 && end.output.contains("install.files.lockTimeout"))
    }

    @Test func debsQueriesHaveDefaults() async throws {
        #expect(try await module("deb", "NeedsArtifactReboot").output == "No")
        try scratch.write("tree/files/restart", "Automatic\n")
        #expect(try await module("deb", "NeedsArtifactReboot").output == "Automatic")
        #expect(try await module("deb", "SupportsRollback").output == "Yes")
    }

    // MARK: the bootloaders' programs

    @Test func theFileProgramStoresEachChange() async throws {
        try Files.createDirectory("\(path)/boot")
        let end = try await run("bootloaders/file", ["\(path)/boot", "set-primary", "B"])
        #expect(end.status == 0 && end.calls.complaints() == [], "\(end.calls.calls)")
        #expect(
            end.calls.has(
                "sync boot/state-B.new", "rename boot/state-B.new -> boot/state-B", "sync boot",
                "sync boot/primary.new",
                "rename boot/primary.new -> boot/primary", "sync boot"), "\(end.calls.calls)")
    }

    @Test func theSystemdBootProgramChoosesTheNewEntryFirst() async throws {
        for (slot, key) in [("A", 0), ("B+0-3", 1)] {
            try scratch.write("esp/loader/entries/\(slot).conf", "title \(slot)\nsort-key upgradelink-\(key)\n")
        }
        let end = try await run("bootloaders/systemd-boot", ["\(path)/esp", "set-primary", "B"])
        let entries = "esp/loader/entries"
        #expect(end.status == 0 && end.calls.complaints() == [], "\(end.calls.calls)")
        #expect(
            end.calls.has(
                "rename \(entries)/B+0-3.conf -> \(entries)/B+3.conf", "sync \(entries)",
                "sync \(entries)/B+3.conf.new", "rename \(entries)/B+3.conf.new -> \(entries)/B+3.conf",
                "sync \(entries)/A.conf.new", "rename \(entries)/A.conf.new -> \(entries)/A.conf", "sync \(entries)"),
            "\(end.calls.calls)")
        #expect(try scratch.read("\(entries)/A.conf") == "title A\nsort-key upgradelink-1\n")
        #expect(try scratch.read("\(entries)/B+3.conf") == "title B+0-3\nsort-key upgradelink-0\n")
    }

    @Test func theGrubProgramSyncsTheBlock() async throws {
        try await execute("grub-editenv", ["\(path)/grubenv", "create"])
        // Some releases of grub-editenv sync the file themselves.
        try program("sync", "exec /usr/bin/sync \"$@\"")
        let end = try await run("bootloaders/grub", ["\(path)/grubenv", "set-state", "B", "bad"])
        #expect(commands == ["sync \(path)/grubenv"])
        #expect(end.status == 0 && end.calls.has("sync grubenv"), "\(end.calls.calls)")
        #expect(end.calls.calls.last?.description == "sync grubenv")
    }

    /// The attempts of a slot, at the limit.
    @Test func aSlotWithAnAttemptLeftCanBeBooted() async throws {
        try await execute("grub-editenv", ["\(path)/grubenv", "create"])
        for (ok, tries, isGood) in [(1, 0, true), (1, 2, true), (1, 3, false), (1, 4, false), (0, 0, false)] {
            try await execute(
                "grub-editenv",
                ["\(path)/grubenv", "set", "ORDER=B A", "B_OK=\(ok)", "B_TRY=\(tries)", "A_OK=1", "A_TRY=0"])
            let state = try await run("bootloaders/grub", ["\(path)/grubenv", "get-state", "B"]).output
            let primary = try await run("bootloaders/grub", ["\(path)/grubenv", "get-primary"]).output
            #expect(state == (isGood ? "good" : "bad") && primary == (isGood ? "B" : "A"), "\(ok) \(tries)")
        }
        for (name, isGood) in [
            ("B", true), ("B+1", true), ("B+1-2", true), ("B+0-3", false), ("B+0", false), ("B+10", true),
        ] {
            try Files.removeTree("\(path)/esp")
            try scratch.write("esp/loader/entries/\(name).conf", "sort-key upgradelink-0\n")
            try scratch.write("esp/loader/entries/A.conf", "sort-key upgradelink-1\n")
            let state = try await run("bootloaders/systemd-boot", ["\(path)/esp", "get-state", "B"]).output
            let primary = try await run("bootloaders/systemd-boot", ["\(path)/esp", "get-primary"]).output
            #expect(state == (isGood ? "good" : "bad") && primary == (isGood ? "B" : "A"), "\(name)")
        }
    }

    /// U-Boot's environment is replaced by a file of variables.
    @Test func theUbootProgramSetsWhatBelongsTogetherAtOnce() async throws {
        try program("fw_printenv", "sed -n \"s/^$2=//p\" \(path)/env")
        try program("fw_setenv", "cat >\(path)/set")
        try scratch.write("env", "BOOT_ORDER=A B\nBOOT_A_LEFT=0\nBOOT_B_LEFT=1\n")
        #expect(try await run("bootloaders/uboot", ["get-primary"]).output == "B", "A has no attempts left")
        #expect(try await run("bootloaders/uboot", ["get-state", "B"]).output == "good")
        #expect(try await run("bootloaders/uboot", ["get-state", "A"]).output == "bad")
        #expect(try await run("bootloaders/uboot", ["get-state", "C"]).output == "bad")
        func set(_ arguments: String...) async throws -> String {
            #expect(try await run("bootloaders/uboot", arguments).status == 0)
            #expect(commands.filter { $0.hasPrefix("fw_setenv") } == ["fw_setenv -s /dev/stdin"])
            return try scratch.read("set").split(separator: "\n").joined(separator: " ")
        }
        #expect(try await set("set-primary", "B") == "BOOT_ORDER=B A BOOT_B_LEFT=3")
        #expect(try await set("set-state", "B", "bad") == "BOOT_ORDER=A BOOT_B_LEFT=0")
        #expect(try await set("set-state", "B", "good") == "BOOT_ORDER=A B BOOT_B_LEFT=3")
        #expect(try await set("set-state", "C", "good") == "BOOT_ORDER=A B C BOOT_C_LEFT=3")
        // What is not in the order is not booted, whatever attempts it has.
        try scratch.write("env", "BOOT_ORDER=A\nBOOT_A_LEFT=3\nBOOT_B_LEFT=3\n")
        #expect(try await run("bootloaders/uboot", ["get-state", "B"]).output == "bad")
        try program("fw_setenv", "exit 1")
        let failed = try await run("bootloaders/uboot", ["set-primary", "B"])
        #expect(failed.status == 1 && failed.output == "uboot: fw_setenv failed: is /etc/fw_env.config right?")
    }
}
