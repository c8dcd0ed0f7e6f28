import Glibc
import Host
import Simulator
import TestSupport
import Testing

/// The programs that select the slot of the next boot, with the tools of the boot loaders: what they store is read by the tool itself.
@Suite struct BootloaderTests {
    enum Kind: String, CaseIterable, Sendable {
        case file, uboot, grub
        case systemdBoot = "systemd-boot"
    }

    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private var path: String { scratch.path }

    /// A device with the good slots A and B, of which A is primary.
    private func prepare(_ kind: Kind) async throws {
        switch kind {
        case .file:
            for (name, text) in [("primary", "A"), ("current", "A"), ("state-A", "good"), ("state-B", "good")] {
                try scratch.write("boot/\(name)", "\(text)\n")
            }
        case .uboot:
            try await execute("truncate", ["-s", "32768", "\(path)/env"])
            // Two copies, as on a device: fw_setenv writes the one that is not in use.
            try scratch.write("fw_env.config", "\(path)/env 0x0000 0x4000\n\(path)/env 0x4000 0x4000\n")
            try scratch.write("defaults", "BOOT_ORDER=A B\nBOOT_A_LEFT=3\nBOOT_B_LEFT=3\n")
            let arguments = ["-c", "\(path)/fw_env.config", "-f", "\(path)/defaults", "-s", "\(path)/defaults"]
            try await execute("fw_setenv", arguments)
        case .grub:
            try await execute("grub-editenv", ["\(path)/grubenv", "create"])
            try await execute(
                "grub-editenv",
                ["\(path)/grubenv", "set", "ORDER=A B", "A_OK=1", "A_TRY=0", "B_OK=1", "B_TRY=0"])
        case .systemdBoot:
            for slot in ["A", "B"] {
                try scratch.write(
                    "esp/loader/entries/\(slot).conf",
                    "title Slot \(slot)\nlinux /\(slot)/linux\nsort-key upgradelink-\(slot == "A" ? 0 : 1)\n")
                try scratch.write("esp/\(slot)/linux", "kernel")
            }
        }
    }

    private func call(_ kind: Kind, _ request: String...) async throws -> String {
        let first =
            switch kind {
            case .file: ["\(path)/boot"]
            case .uboot: ["--config", "\(path)/fw_env.config"]
            case .grub: ["\(path)/grubenv"]
            case .systemdBoot: ["\(path)/esp"]
            }
        let program = "\(ImageModuleTests.programs)/\(kind.rawValue)"
        return try await execute("env", [program] + first + request).filter { $0 != "\n" }
    }

    private func states(_ kind: Kind) async throws -> String {
        var found = try await call(kind, "get-primary")
        for slot in ["A", "B"] { found += try await " \(call(kind, "get-state", slot))" }
        return found
    }

    /// What the module `image` does in an update, a rollback and the next update.
    @Test(arguments: Kind.allCases) func aSlotIsSelected(kind: Kind) async throws {
        try await prepare(kind)
        #expect(try await states(kind) == "A good good")
        _ = try await call(kind, "set-state", "B", "bad")
        #expect(try await states(kind) == "A good bad")
        _ = try await call(kind, "set-primary", "B")
        #expect(try await states(kind) == "B good good")
        _ = try await call(kind, "set-state", "B", "good")
        #expect(try await states(kind) == "B good good")
        // A rollback.
        for _ in 1...2 {
            _ = try await call(kind, "set-primary", "A")
            _ = try await call(kind, "set-state", "B", "bad")
            #expect(try await states(kind) == "A good bad")
        }
        _ = try await call(kind, "set-state", "A", "good")
        #expect(try await states(kind) == "A good bad")
        _ = try await call(kind, "set-primary", "B")
        #expect(try await states(kind) == "B good good")
    }

    @Test(arguments: Kind.allCases) func wrongRequestsAreErrors(kind: Kind) async throws {
        try await prepare(kind)
        await #expect(throws: (any Error).self) { try await call(kind, "get-anything") }
        if kind != .file { await #expect(throws: (any Error).self) { try await call(kind, "set-state", "A", "fine") } }
        #expect(try await states(kind) == "A good good")
    }

    // MARK: what the boot loader itself sees

    @Test func ubootCountsTheBootsOfANewSlot() async throws {
        try await prepare(.uboot)
        func variables() async throws -> [String] {
            try await execute("fw_printenv", ["-c", "\(path)/fw_env.config"]).split(separator: "\n").map(String.init)
                .filter { $0.hasPrefix("BOOT_") }.sorted()
        }
        _ = try await call(.uboot, "set-state", "B", "bad")
        #expect(try await variables() == ["BOOT_A_LEFT=3", "BOOT_B_LEFT=0", "BOOT_ORDER=A"])
        _ = try await call(.uboot, "set-primary", "B")
        #expect(try await variables() == ["BOOT_A_LEFT=3", "BOOT_B_LEFT=3", "BOOT_ORDER=B A"])
        // The attempts are used up: the boot script takes the other slot.
        try scratch.write("boots", "BOOT_B_LEFT=0\n")
        try await execute("fw_setenv", ["-c", "\(path)/fw_env.config", "-s", "\(path)/boots"])
        #expect(try await states(.uboot) == "A good bad")
    }

    @Test func grubReadsTheEnvironmentBlock() async throws {
        try await prepare(.grub)
        _ = try await call(.grub, "set-primary", "B")
        #expect(FileStatus("\(path)/grubenv")?.size == 1024)
        let list = try await execute("grub-editenv", ["\(path)/grubenv", "list"])
        for line in ["ORDER=B A", "B_OK=1", "B_TRY=0", "A_OK=1"] { #expect(list.contains("\(line)\n"), "\(list)") }
        // As grub.cfg counts a boot that nothing confirms.
        try await execute("grub-editenv", ["\(path)/grubenv", "set", "B_TRY=3"])
        #expect(try await states(.grub) == "A good bad")
        await #expect(throws: (any Error).self) {
            try await execute("env", ["\(ImageModuleTests.programs)/grub", "\(path)/absent", "get-primary"])
        }
    }

    /// bootctl sorts the entries as systemd-boot does, and boots the first one.
    @Test(.enabled(if: isRoot)) func systemdBootSortsTheEntries() async throws {
        // bootctl wants an ESP to be the root of a file system.
        try await scratch.withSmallFileSystem("esp", size: "1m") { _ in try await sortedEntries() }
    }

    private func sortedEntries() async throws {
        try await prepare(.systemdBoot)
        func first() async throws -> String {
            // Of another kind than vfat.
            let list = try await execute(
                "env", ["SYSTEMD_RELAX_ESP_CHECKS=1", "bootctl", "--esp-path=\(path)/esp", "--no-pager", "list"])
            return list.firstMatch(of: /id: ([A-Za-z0-9+.-]+)/).map { String($0.1) } ?? list
        }
        #expect(try await first() == "A.conf")
        _ = try await call(.systemdBoot, "set-state", "B", "bad")
        #expect(try Files.list("\(path)/esp/loader/entries") == ["A.conf", "B+0-3.conf"])
        #expect(try await first() == "A.conf")
        _ = try await call(.systemdBoot, "set-primary", "B")
        #expect(try Files.list("\(path)/esp/loader/entries") == ["A.conf", "B+3.conf"])
        #expect(try await first().hasPrefix("B"))
        // As systemd-boot counts the attempts.
        rename("\(path)/esp/loader/entries/B+3.conf", "\(path)/esp/loader/entries/B+0-3.conf")
        #expect(try await first() == "A.conf")
        #expect(try await states(.systemdBoot) == "A good bad")
        _ = try await call(.systemdBoot, "set-state", "B", "good")
        #expect(try Files.list("\(path)/esp/loader/entries") == ["A.conf", "B.conf"])
        #expect(try await first() == "B.conf")
        #expect(
            try scratch.read("esp/loader/entries/B.conf") == "title Slot B\nlinux /B/linux\nsort-key upgradelink-0\n")
    }
}
