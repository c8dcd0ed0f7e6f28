import Glibc
import Host
import Simulator
import TestSupport
import Testing

/// Archives that tar unpacks into more than files and directories of root's.
@Suite struct ArchiveTests {
    private let rig: ModuleRig

    init() throws {
        rig = try ModuleRig("directory")
        try rig.scratch.write("elsewhere/precious", "precious")
    }

    /// Writes an archive entry by entry. The script adds entries with `add(name, content, mode, **fields)`.
    private func archive(_ script: String) async throws {
        let text = """
            import io, tarfile
            root = "\(rig.path)"
            archive = tarfile.open(root + "/artifact", "w", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape")
            def add(name, content=b"x", mode=0o644, **fields):
                entry = tarfile.TarInfo(name)
                entry.mode, entry.size = mode, len(content)
                for field, value in fields.items(): setattr(entry, field, value)
                if entry.type != tarfile.REGTYPE: entry.size = 0
                archive.addfile(entry, io.BytesIO(content))
            add("version", b"2")
            \(script)
            archive.close()
            """
        try rig.scratch.write("pack.py", text)
        try await execute("python3", ["\(rig.path)/pack.py"])
    }

    private func install(_ options: [String: String] = [:]) async throws -> ModuleRig.End {
        try rig.newTree(["link": "@ROOT@/live"].merging(options) { $1 })
        return try await rig.run("ArtifactInstall")
    }

    /// The archive was refused, and nothing is left.
    private func expectRefusal(_ end: ModuleRig.End, _ reason: String) throws {
        #expect(!end.succeeded)
        #expect(end.lastError.hasPrefix("directory: ") && end.lastError.contains(reason), "\(end.errors)")
        #expect(rig.status("live").isEmpty)
        #expect(try rig.names("live.versions").isEmpty)
        try expectNoHarm()
    }

    private func expectNoHarm() throws {
        #expect(rig.read("elsewhere/precious") == "precious")
        #expect(rig.status("elsewhere/precious").hasPrefix("100600 "))
        #expect(try rig.names("elsewhere") == ["precious"])
    }

    @Test(.enabled(if: isRoot)) func ownersAndSpecialBitsAreNotThoseOfTheArchive() async throws {
        try await archive(
            """
            add("helper", mode=0o4755)
            add("shared", mode=0o2777, uid=1000, gid=1000, uname="games")
            add("bin", mode=0o3777, type=tarfile.DIRTYPE, uid=1000)
            add("bin/tool", mode=0o6711, uid=1000, gid=1000)
            add("bin/link", type=tarfile.SYMTYPE, linkname="tool", uid=1000)
            add(".", mode=0o1777, type=tarfile.DIRTYPE, uid=1000)
            """)
        #expect(try await install().succeeded)
        for (name, status) in [
            ("live/.", "40755 0:0"), ("live/helper", "100755 0:0"), ("live/shared", "100755 0:0"),
            ("live/bin", "40755 0:0"), ("live/bin/tool", "100711 0:0"), ("live/bin/link", "120777 0:0"),
            ("live/.upgradelink-version", "100644 0:0"),
        ] {
            #expect(rig.status(name) == status, "\(name)")
        }
    }

    @Test(.enabled(if: isRoot)) func ownersAndSpecialBitsAreKeptOnRequest() async throws {
        try await archive(
            """
            add("helper", mode=0o4755)
            add("other", mode=0o4755)
            add("bin", mode=0o2775, type=tarfile.DIRTYPE, uid=1000, gid=1000)
            add("bin/tool", mode=0o6711, uid=1000, gid=1000)
            add(".", mode=0o750, type=tarfile.DIRTYPE, uid=1000)
            """)
        #expect(try await install(["owners": "archive", "special": "helper\n./bin/tool\n"]).succeeded)
        for (name, status) in [
            ("live/.", "40750 0:0"), ("live/helper", "104755 0:0"), ("live/other", "100755 0:0"),
            ("live/bin", "40755 1000:1000"), ("live/bin/tool", "106711 1000:1000"),
        ] {
            #expect(rig.status(name) == status, "\(name)")
        }
        try Files.removeTree("\(rig.path)/live")
        try Files.removeTree("\(rig.path)/live.versions")
        try expectRefusal(try await install(["special": "bin/tol"]), "no bin/tol: set install.files.special")
        try expectRefusal(try await install(["owners": "all"]), "install.files.owners")
    }

    /// A tar that restores capabilities (capabilities(7)).
    @Test(.enabled(if: isRoot)) func capabilitiesAreRemoved() async throws {
        let name = "security.capability"
        try rig.scratch.write("artifact", "x")
        try rig.scratch.write(
            "bin/tar",
            """
            #!/usr/bin/python3
            import os, struct, sys
            helper = sys.argv[4] + "/helper"
            open(helper, "w").close()
            os.setxattr(helper, "\(name)", struct.pack("<5I", 0x02000001, 0x80, 0, 0, 0))
            open("\(rig.path)/tried", "w").close()
            """, mode: 0o755)
        try rig.newTree(["link": "@ROOT@/live"])
        let path = Environment.current["PATH"] ?? ""
        #expect(
            try await rig.run("ArtifactInstall", environment: ["PATH": "\(rig.path)/bin:\(path)"]).succeeded)
        #expect(rig.scratch.exists("tried"))
        let left = try await execute("python3", ["-c", "import os; print(os.listxattr('\(rig.path)/live/helper'))"])
        #expect(!left.contains(name), "\(left)")
    }

    @Test(
        .enabled(if: isRoot),
        arguments: [
            ("add('disk', type=tarfile.BLKTYPE, devmajor=8, devminor=0)", "a device, disk: leave it out"),
            ("add('null', type=tarfile.CHRTYPE, devmajor=1, devminor=3)", "a device, null: leave it out"),
            ("add('pipe', type=tarfile.FIFOTYPE)", "a pipe, pipe: leave it out"),
        ])
    func devicesAndPipesAreRefused(script: String, reason: String) async throws {
        try await archive(script)
        try expectRefusal(try await install(), reason)
    }

    /// Whatever tar makes of these, no file outside is written.
    @Test(arguments: [
        "add(root + '/elsewhere/planted')", "add('../elsewhere/planted')", "add('a/../../../elsewhere/planted')",
        "add('out', type=tarfile.SYMTYPE, linkname=root + '/elsewhere'); add('out/planted')",
        "add('out', type=tarfile.SYMTYPE, linkname='../../../elsewhere'); add('out/planted')",
        "add('out', type=tarfile.SYMTYPE, linkname=root + '/elsewhere/precious'); add('out', b'changed')",
        "add('out', type=tarfile.LNKTYPE, linkname=root + '/elsewhere/precious'); add('out', b'changed')",
        "add('out', type=tarfile.LNKTYPE, linkname='../../../elsewhere/precious')",
        "add('out', type=tarfile.SYMTYPE, linkname=root + '/elsewhere'); add('in', type=tarfile.LNKTYPE, linkname='out/precious')",
        "add('.upgradelink-version', type=tarfile.SYMTYPE, linkname=root + '/elsewhere/planted')",
        "add('.upgradelink-version', type=tarfile.SYMTYPE, linkname=root + '/elsewhere/precious')",
    ])
    func nothingOutsideIsWritten(script: String) async throws {
        try await archive(script)
        let end = try await install()
        try expectNoHarm()
        if end.succeeded {
            #expect(rig.read("live/version") == "2")
            #expect(rig.status("live/.upgradelink-version").hasPrefix("100644 "))
        } else {
            #expect(rig.status("live").isEmpty)
            #expect(try rig.names("live.versions").isEmpty)
        }
        #expect(try await rig.run("ArtifactRollback").succeeded)
        try expectNoHarm()
    }

    /// A tar that makes hard links to other files, as some did, or that is not there.
    @Test func theResultIsCheckedWhateverTarDoes() async throws {
        try rig.scratch.write("artifact", "x")
        try rig.scratch.write(
            "bin/tar", "#!/bin/sh\ncd \"$4\" && ln \(rig.path)/elsewhere/precious stolen && chmod 6777 .\n", mode: 0o755
        )
        try rig.newTree(["link": "@ROOT@/live"])
        let path = Environment.current["PATH"] ?? ""
        let linked = try await rig.run("ArtifactInstall", environment: ["PATH": "\(rig.path)/bin:\(path)"])
        #expect(linked.lastError.contains("a hard link to a file outside of it, stolen"), "\(linked.errors)")
        let missing = try await rig.run("ArtifactInstall", environment: ["PATH": "\(rig.path)/none"])
        #expect(missing.lastError.contains("it cannot be started"), "\(missing.errors)")
        try expectNoHarm()
    }

    /// What is refused is not changed before: a name could be that of another user's program with special bits.
    @Test(.enabled(if: isRoot)) func aFileOutsideKeepsItsOwnerAndMode() async throws {
        try rig.scratch.write("artifact", "x")
        try rig.scratch.write("program", "x")
        rig.giveAway("program")
        chmod("\(rig.path)/program", 0o6775)
        try rig.scratch.write("bin/tar", "#!/bin/sh\nln \(rig.path)/program \"$4\"/a\n", mode: 0o755)
        try rig.newTree(["link": "@ROOT@/live"])
        let path = Environment.current["PATH"] ?? ""
        let end = try await rig.run("ArtifactInstall", environment: ["PATH": "\(rig.path)/bin:\(path)"])
        #expect(end.lastError.contains("a hard link to a file outside of it, a"), "\(end.errors)")
        #expect(rig.status("program") == "106775 65534:65534")
    }

    /// The walk comes to another name of the file first.
    @Test(.enabled(if: isRoot)) func aSpecialFileCanHaveSeveralNames() async throws {
        try await archive(
            """
            add("a", mode=0o4755)
            add("helper", type=tarfile.LNKTYPE, linkname="a")
            add("other", mode=0o4755)
            """)
        #expect(try await install(["special": "helper"]).succeeded)
        #expect(rig.status("live/a") == "104755 0:0" && rig.status("live/other") == "100755 0:0")
    }

    @Test(arguments: [
        (
            """
            tar: Removing leading `/' from member names
            tar (child): zstd: Cannot exec: No such file or directory
            tar (child): Error is not recoverable: exiting now
            tar: Child returned status 2
            tar: Error is not recoverable: exiting now
            """,
            "tar (child): zstd: Cannot exec: No such file or directory: install this program, "
                + "or pack the archive with another compression"
        ),
        (
            """
            tar: version: time stamp 2030-01-01 00:00:00 is 99 s in the future
            gzip: stdin: unexpected end of file
            tar: Unexpected EOF in archive
            tar: Exiting with failure status due to previous errors
            """, "gzip: stdin: unexpected end of file"
        ),
    ])
    func theReasonIsTarsError(lines: String, reason: String) async throws {
        try rig.scratch.write("artifact", "x")
        try rig.scratch.write("bin/tar", "#!/bin/sh\ncat >&2 <<'END'\n\(lines)\nEND\nexit 2\n", mode: 0o755)
        try rig.newTree(["link": "@ROOT@/live"])
        let path = Environment.current["PATH"] ?? ""
        let end = try await rig.run("ArtifactInstall", environment: ["PATH": "\(rig.path)/bin:\(path)"])
        #expect(end.lastError == "directory: the archive cannot be unpacked: \(reason)", "\(end.errors)")
    }

    @Test func linksInTheArchiveAreKept() async throws {
        try await archive(
            """
            add("bin", mode=0o755, type=tarfile.DIRTYPE)
            add("bin/tool", mode=0o755)
            add("bin/same", type=tarfile.LNKTYPE, linkname="bin/tool")
            add("bin/link", type=tarfile.SYMTYPE, linkname="tool")
            add("data", type=tarfile.SYMTYPE, linkname="/var/lib/player")
            """)
        #expect(try await install().succeeded)
        #expect(rig.read("live/bin/same") == "x" && rig.read("live/bin/link") == "x")
        #expect(Files.linkTarget("\(rig.path)/live/data") == "/var/lib/player")
    }

    /// A file system has bytes, not characters.
    @Test func namesNeedNotBeUTF8() async throws {
        try await archive("add('caf\\udce9/\\udcff\\udcfe', b'x'); add('caf\\udce9/pi\\u00f1ata', b'x')")
        #expect(try await install().succeeded)
        let above = try Directory("\(rig.path)/live")
        let name = try #require(FileName([0x63, 0x61, 0x66, 0xE9]))
        #expect(try above.directory(name).names().map(\.bytes).contains([0xFF, 0xFE]))
        #expect(try await rig.run("ArtifactRollback").succeeded)
        #expect(try rig.names("live.versions").isEmpty)
    }

    @Test func aBrokenArchiveIsNamed() async throws {
        try rig.scratch.write("artifact", "this is no archive\n")
        try expectRefusal(try await install(), "the archive cannot be unpacked: tar: ")
    }
}
