import Glibc
import Host
import Simulator
import TestSupport
import Testing

/// The module `image` with two slots, which are files or block devices, and the bootloader's program for tests.
@Suite struct ImageModuleTests {
    private let rig: ModuleRig
    private let image: [UInt8]
    private let options: [String: String]
    static let programs = "\(repositoryDirectory)/packaging/bootloaders"

    init() throws {
        rig = try ModuleRig("image")
        options = [
            "slots": "A=@ROOT@/slots/A B=@ROOT@/slots/B", "bootloader": "\(Self.programs)/file \(rig.path)/boot",
        ]
        for (name, text) in [("primary", "A"), ("current", "A"), ("state-A", "good"), ("state-B", "good")] {
            try rig.scratch.write("boot/\(name)", "\(text)\n")
        }
        // Not a multiple of a block, and longer than the parts that are written at a time.
        var bytes = [UInt8](repeating: 0, count: 5_000_123)
        guard try OpenFile("/dev/urandom", O_RDONLY).read(into: &bytes) == bytes.count else {
            throw ModuleRig.Failure(description: "too few random bytes")
        }
        image = bytes
        try Files.replace("\(rig.path)/artifact", with: image)
        for slot in ["A", "B"] { try rig.scratch.write("slots/\(slot)", String(repeating: slot, count: 6_000_000)) }
    }

    private func boot(_ name: String) -> String { (rig.read("boot/\(name)") ?? "").filter { $0 != "\n" } }

    private func slot(_ name: String) throws -> [UInt8] { try Files.read("\(rig.path)/slots/\(name)", limit: 64 << 20) }

    /// The slot that runs is never changed, and no slot is booted that is not complete.
    ///
    /// - Parameter image: nil: the whole one.
    private func expectNoHarm(_ place: String = "", image: [UInt8]? = nil) throws {
        #expect(try slot("A") == Array(repeating: UInt8(ascii: "A"), count: 6_000_000), "\(place)")
        if boot("primary") == "B" { #expect(try slot("B").starts(with: image ?? self.image), "\(place)") }
        #expect(boot("state-A") == "good", "\(place)")
    }

    @Test(arguments: ["raw", "gzip", "xz", "zstd"])
    func anImageIsWrittenToTheOtherSlot(format: String) async throws {
        if format != "raw" {
            try await execute("sh", ["-euc", "\(format) -c artifact >packed; mv packed artifact"], in: rig.path)
        }
        try rig.newTree(options)
        #expect(try await rig.run("NeedsArtifactReboot").output == "Automatic\n")
        #expect(try await rig.run("SupportsRollback").output == "Yes\n")
        let end = try await rig.run("ArtifactInstall")
        #expect(end.succeeded, "\(end.errors)")
        let percentages = end.output.split(separator: "\n").filter { $0.contains(" % ") }
        #expect(percentages.first?.hasSuffix(" % written") == true && percentages.contains("100 % written"))
        #expect(percentages.last == "100 % verified", "\(end.output)")
        try expectNoHarm()
        // What is behind the image stays.
        #expect(try slot("B") == image + Array(repeating: UInt8(ascii: "B"), count: 6_000_000 - image.count))
        #expect(boot("primary") == "B")

        let early = try await rig.run("ArtifactVerifyReboot")
        #expect(!early.succeeded && early.lastError == "image: the device still runs from slot A")
        try rig.scratch.write("boot/current", "B\n")
        for state in ["ArtifactVerifyReboot", "ArtifactCommit", "Cleanup"] {
            #expect(try await rig.run(state).succeeded, "\(state)")
        }
        #expect(boot("state-B") == "good" && boot("primary") == "B")
        // The next one goes to the other slot.
        try rig.newTree(options, version: 3)
        #expect(try await rig.run("ArtifactInstall").succeeded)
        #expect(try boot("primary") == "A" && slot("A").starts(with: image))
    }

    @Test func equalBlocksAreNotWritten() async throws {
        var changed = image
        changed[1_000_000] ^= 1
        changed[4_999_999] ^= 1
        try Files.replace("\(rig.path)/slots/B", with: changed)
        try rig.newTree(options)
        let end = try await rig.run("ArtifactInstall")
        // Two blocks of 64 KiB, of which the last one is shorter.
        let written = 65_536 + image.count % 65_536
        #expect(
            end.output.contains("\(image.count) bytes, of which \(image.count - written) were equal already"),
            "\(end.output)")
        #expect(try slot("B") == image)
    }

    /// After a long part without equal blocks, only some are compared; what is equal after that is found again.
    @Test func equalBlocksAfterALongDifferenceAreFound() async throws {
        let size = 160 << 20
        let path = rig.path
        try await execute("sh", ["-c", "head -c \(size) /dev/urandom >artifact; cp artifact slots/B"], in: path)
        // The first 100 MiB differ.
        try await execute(
            "sh", ["-c", "head -c \(100 << 20) /dev/urandom | dd of=slots/B conv=notrunc status=none"], in: path)
        try rig.newTree(options.merging([:]) { $1 }, artifact: "none")
        rename("\(path)/artifact", "\(path)/tree/files/artifact")
        let end = try await rig.run("ArtifactInstall")
        let equal = end.output.firstMatch(of: /of which (\d+) were/).flatMap { Int($0.1) } ?? 0
        #expect(equal >= 24 << 20 && equal <= 60 << 20, "\(end.output)")
        try await execute("cmp", ["tree/files/artifact", "slots/B"], in: path)
    }

    /// What was compared before is no content of the slot.
    @Test func aFileThatIsShorterThanTheImageGrows() async throws {
        let even = [UInt8](repeating: UInt8(ascii: "B"), count: 9_000_000)
        try Files.replace("\(rig.path)/artifact", with: even)
        try Files.replace("\(rig.path)/slots/B", with: Array(even.prefix(4_500_000)))
        try rig.newTree(options)
        let end = try await rig.run("ArtifactInstall")
        #expect(end.succeeded, "\(end.errors)")
        #expect(try slot("B") == even)
        try expectNoHarm(image: even)
    }

    @Test(.enabled(if: isRoot)) func aSlotOnAFullDiskIsNotSelected() async throws {
        try await rig.scratch.withSmallFileSystem("small", size: "2m") { directory async throws in
            chmod(directory, 0o755)
            try Files.replace("\(directory)/B", with: [1])
            try rig.newTree(options.merging(["slots": "A=\(rig.path)/slots/A B=\(directory)/B"]) { $1 })
            let end = try await rig.run("ArtifactInstall")
            #expect(!end.succeeded && end.lastError.contains("No space left on device"), "\(end.errors)")
            #expect(boot("primary") == "A" && boot("state-B") == "bad")
        }
    }

    @Test func aRollbackSelectsTheSlotBefore() async throws {
        try rig.newTree(options)
        #expect(try await rig.run("ArtifactInstall").succeeded)
        try rig.scratch.write("boot/current", "B\n")
        for _ in 1...2 { #expect(try await rig.run("ArtifactRollback").succeeded) }
        #expect(boot("primary") == "A" && boot("state-B") == "bad")
        let early = try await rig.run("ArtifactVerifyRollbackReboot")
        #expect(!early.succeeded && early.lastError == "image: the device runs from slot B, and not from A")
        try rig.scratch.write("boot/current", "A\n")
        #expect(try await rig.run("ArtifactVerifyRollbackReboot").succeeded)
        #expect(boot("state-A") == "good")
        try expectNoHarm()
    }

    @Test func aRollbackOfNothingChangesNothing() async throws {
        try rig.newTree(options)
        #expect(try await rig.run("ArtifactRollback").succeeded)
        #expect(boot("primary") == "A" && boot("state-B") == "good")
    }

    // MARK: disks

    /// A disk that loses a bit is found before the slot is selected.
    @Test func whatIsWrittenIsReadBack() async throws {
        try rig.newTree(options)
        let end = try await rig.run(
            "ArtifactInstall",
            environment: [
                "LD_PRELOAD": "\(programsDirectory)/libfaultydisk.so", "FAULT_CORRUPT": "\(rig.path)/slots/B",
            ])
        #expect(!end.succeeded && end.lastError.contains("slots/B does not have what was written"), "\(end.errors)")
        #expect(boot("primary") == "A" && boot("state-B") == "bad")
        #expect(try await rig.run("ArtifactRollback").succeeded)
        try expectNoHarm()
    }

    @Test(.enabled(if: isRoot), arguments: [false, true])
    func aBlockDeviceIsASlot(isMounted: Bool) async throws {
        try await execute("truncate", ["-s", "8M", "\(rig.path)/disk"])
        try await execute("mkfs.ext4", ["-q", "-F", "\(rig.path)/disk"])
        let device = try await execute("losetup", ["--find", "--show", "\(rig.path)/disk"]).filter { $0 != "\n" }
        let options = options.merging(["slots": "A=\(rig.path)/slots/A B=\(device)"]) { $1 }
        try rig.newTree(options)
        do {
            if isMounted {
                try Files.createDirectory("\(rig.path)/mounted")
                try await execute("mount", [device, "\(rig.path)/mounted"])
            }
            let end = try await rig.run("ArtifactInstall")
            if isMounted { umount2("\(rig.path)/mounted", CInt(MNT_DETACH)) }
            if isMounted {
                #expect(!end.succeeded)
                #expect(end.lastError == "image: slot B, \(device), is in use: unmount it")
                #expect(boot("primary") == "A" && boot("state-B") == "good")
            } else {
                #expect(end.succeeded, "\(end.errors)")
                #expect(boot("primary") == "B")
                let found = try await execute("cmp", ["-n", "\(image.count)", device, "\(rig.path)/artifact"])
                #expect(found.isEmpty)
                try await execute("truncate", ["-s", "9M", "\(rig.path)/artifact"])
                try rig.newTree(options)
                let longer = try await rig.run("ArtifactInstall")
                #expect(longer.lastError == "image: the image has 9437184 bytes, and \(device) has 8388608")
                #expect(boot("state-B") == "good")
                // Only the decompression tells how long it is.
                try await execute("sh", ["-euc", "gzip -c artifact >packed; mv packed artifact"], in: rig.path)
                try rig.newTree(options)
                let packed = try await rig.run("ArtifactInstall")
                #expect(packed.lastError == "image: the image is longer than \(device)")
                #expect(boot("state-B") == "bad")
                #expect(try await rig.run("ArtifactRollback").succeeded && boot("primary") == "A")
            }
        } catch { Issue.record(error) }
        try await execute("losetup", ["-d", device])
    }

    @Test(arguments: ["gzip", "xz", "zstd"]) func aDamagedImageIsRefused(format: String) async throws {
        try await execute(
            "sh", ["-euc", "\(format) -c artifact | head -c 3000000 >packed; mv packed artifact"], in: rig.path)
        try rig.newTree(options)
        let end = try await rig.run("ArtifactInstall")
        #expect(
            !end.succeeded && end.lastError.contains("the image cannot be decompressed: \(format): "), "\(end.errors)")
        #expect(boot("primary") == "A" && boot("state-B") == "bad")
        try expectNoHarm()
    }

    // MARK: interruptions

    @Test(arguments: [false, true]) func anInstallationCanBeInterruptedAnywhere(again: Bool) async throws {
        var call = 1
        let image = Array(image.prefix(400_123))
        try Files.replace("\(rig.path)/artifact", with: image)
        while true {
            for (name, text) in [("primary", "A"), ("state-A", "good"), ("state-B", "good")] {
                try rig.scratch.write("boot/\(name)", "\(text)\n")
            }
            try Files.replace("\(rig.path)/slots/B", with: [])
            try rig.newTree(options)
            let isHit = try await rig.runKilled("ArtifactInstall", before: call)
            try expectNoHarm("call \(call)", image: image)
            if again {
                #expect(try await rig.run("ArtifactInstall").succeeded, "call \(call)")
                #expect(try boot("primary") == "B" && slot("B") == image, "call \(call)")
            } else {
                #expect(try await rig.run("ArtifactRollback").succeeded, "call \(call)")
                #expect(boot("primary") == "A", "call \(call)")
                try expectNoHarm("call \(call)", image: image)
            }
            guard isHit else { break }
            call += 1
        }
        #expect(call > 10)
    }

    // MARK: options

    @Test(arguments: [
        ("slots", ""), ("slots", "A=/dev/x"), ("slots", "A=/x A=/y"), ("slots", "A=/x B=/x"), ("slots", "A=x B=/y"),
        ("slots", "A=/x B=/y C=/z"), ("slots", "=/x B=/y"), ("slots", "A;=/x B=/y"), ("bootloader", "grubs"),
        ("bootloader", "./x"), ("bootloader", ""), ("bootloader", "/nonexistent"),
    ])
    func wrongOptionsAreNamed(name: String, value: String) async throws {
        try rig.newTree(options.merging([name: value]) { $1 })
        let end = try await rig.run("ArtifactInstall")
        #expect(!end.succeeded && end.lastError.contains("set install.files.\(name)"), "\(end.errors)")
        #expect(boot("primary") == "A" && boot("state-B") == "good")
    }

    @Test func missingOptionsAreNamed() async throws {
        for name in ["slots", "bootloader"] {
            try rig.newTree(options.filter { $0.key != name })
            let end = try await rig.run("ArtifactInstall")
            #expect(!end.succeeded && end.lastError.contains("set install.files.\(name) to "), "\(end.errors)")
        }
    }

    /// The program may not know get-current, or name a slot that is not configured.
    @Test func theRunningSlotMustBeKnown() async throws {
        try rig.newTree(options)
        try rig.scratch.write("boot/current", "C\n")
        let other = try await rig.run("ArtifactInstall")
        #expect(other.lastError == "image: install.files.slots has no slot C", "\(other.errors)")
        unlink("\(rig.path)/boot/current")
        let unknown = try await rig.run("ArtifactInstall")
        #expect(unknown.lastError.contains("it is not known which slot runs"), "\(unknown.errors)")
        #expect(!unknown.errors.contains("cat:"))
        #expect(boot("state-B") == "good")
    }

    @Test(.enabled(if: isRoot)) func aSlotThatOthersCanReplaceIsRefused() async throws {
        try rig.newTree(options)
        rig.giveAway("slots")
        let end = try await rig.run("ArtifactInstall")
        #expect(!end.succeeded && end.lastError.contains("slots belongs to user 65534"), "\(end.errors)")
        #expect(boot("state-B") == "good")
    }

    /// A bootloader's program that fails leaves the device as it was.
    @Test(arguments: ["set-state", "set-primary", "get-primary"])
    func aBootloaderThatFailsIsNamed(request: String) async throws {
        let program = try rig.scratch.write(
            "bootloader",
            "#!/bin/sh\n[ \"$1\" != \(request) ] || { echo no >&2; exit 3; }\nexec \(Self.programs)/file \(rig.path)/boot \"$@\"\n",
            mode: 0o755)
        try rig.newTree(options.merging(["bootloader": program]) { $1 })
        let end = try await rig.run("ArtifactInstall")
        #expect(!end.succeeded && end.lastError.contains("\(program) failed in \(request)"), "\(end.errors)")
        try expectNoHarm()
        try rig.newTree(options, artifact: "none")
    }
}
