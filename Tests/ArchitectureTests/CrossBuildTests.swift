import Host
import TestSupport
import Testing

/// Packages for other releases of Debian and other architectures. Building them takes minutes, and is no part of `make test`.
@Suite @MainActor struct CrossBuildTests {
    private typealias Output = (lines: [String], errors: [String], end: ProcessEnd)

    /// Runs a shell command without the settings of the make that may run this test.
    private func shell(_ command: String) async -> Output {
        await Program(
            "/bin/sh", ["-c", "unset MAKEFLAGS MAKELEVEL SWIFT_SDK; \(command)"], streams: .captured, timeLimit: 60
        ).run()
    }

    /// An upgrade to the next release of Debian, and to the next version, replaces the package; a downgrade goes to 0.1.0.
    @Test func aPackageOfANewerReleaseIsNewer() async throws {
        var versions = ["0.1.0", "0.2.0~"]
        for suite in ["bookworm", "trixie"] {
            let output = await shell("\(repositoryDirectory)/packaging/version.sh \(suite)")
            versions.append(try #require(output.lines.first, "\(output.errors)"))
        }
        versions.append("0.2.1-1~deb12u1")
        #expect(versions[2].hasSuffix("-1~deb12u1") && versions[3].hasSuffix("-1~deb13u1"), "\(versions)")
        for (older, newer) in zip(versions, versions.dropFirst()) {
            #expect(await shell("dpkg --compare-versions \(older) lt \(newer)").end.succeeded, "\(older) \(newer)")
        }
    }

    @Test(arguments: [
        ("", "packaging/deb.sh bookworm amd64"), ("SUITE=trixie", "packaging/cross/deb.sh trixie amd64"),
        ("ARCH=arm64", "packaging/cross/deb.sh trixie arm64"),
        ("ARCH=arm64 SUITE=bookworm", "packaging/cross/deb.sh bookworm arm64"),
    ])
    func theRightScriptMakesThePackages(variables: String, script: String) async {
        let output = await shell(
            "make -n -C \(repositoryDirectory) deb RUNNING_SUITE=bookworm NATIVE_ARCH=amd64 \(variables)")
        let scripts = output.lines.filter { $0.contains("/deb.sh") }
        #expect(scripts.count == 1 && scripts.allSatisfy { $0.contains("\(script) ") }, "\(output)")
    }

    /// The scripts in a directory of their own, without what they have cached, and programs that take the place of real ones.
    private func scripts(programs: [String: String]) async throws -> Scratch {
        let scratch = try Scratch()
        #expect(await shell("cp -r \(repositoryDirectory)/packaging \(scratch.path)/").end.succeeded)
        for (name, text) in programs { try scratch.write("bin/\(name)", "#!/bin/sh\n\(text)\n", mode: 0o755) }
        return scratch
    }

    private func run(_ command: String, _ scratch: Scratch) async -> Output {
        await shell("PATH=\(scratch.path)/bin:$PATH; cd \(scratch.path) && packaging/\(command)")
    }

    #if arch(arm64)
        private static let foreign = "amd64"
    #else
        private static let foreign = "arm64"
    #endif

    @Test(arguments: [
        ("6.2.3-1+b1", "6.2.3-1+b2", "6.2.3-1"), ("6.3-1", "6.2.3-1", nil), ("6.0.3-2", "6.0.3-2", nil),
        ("6.2.3-1", "", nil),
    ])
    func aMissingCompilerIsNamedWithARemedy(here: String, there: String, usable: String?) async throws {
        let show = """
            case "$*" in *swiftlang:\(Self.foreign)) version=\(there) ;; *) version=\(here) ;; esac
            [ -z "$version" ] || echo "Version: $version"
            """
        let scratch = try await scripts(programs: ["apt-get": "exit 0", "apt-cache": show])
        let output = await run("cross/compiler.sh \(Self.foreign) check", scratch)
        if let usable {
            #expect(output.end.succeeded && output.lines == [usable], "\(output)")
        } else {
            #expect(output.end == .exited(1), "\(output)")
            let message = output.errors.joined(separator: " ")
            #expect(message.contains(here) && message.contains(there.isEmpty ? "missing" : there), "\(message)")
            #expect(message.contains("SWIFT_SDK=NAME make deb ARCH=\(Self.foreign)"), "\(message)")
        }
    }

    @Test func debian12HasNoCompilerForAnotherArchitecture() async throws {
        let scratch = try await scripts(programs: [:])
        let output = await run("cross/deb.sh bookworm \(Self.foreign) \(scratch.path)/deb", scratch)
        #expect(output.end == .exited(1) && output.errors.joined().contains("SWIFT_SDK=NAME make deb"), "\(output)")
    }

    /// Packages of other releases and architectures stay, and earlier ones of the same go.
    @Test func onlyEarlierPackagesOfTheSameKindAreReplaced() async throws {
        let build = """
            version=$(sed -n '1s/.*(\\(.*\\)) trixie;.*/\\1/p' debian/changelog)
            : >"../upgradelinkd_${version}_amd64.deb"
            """
        let scratch = try await scripts(programs: ["dpkg-buildpackage": build, "lintian": "exit 0"])
        let others = ["upgradelinkd_0.2.0-1~deb12u1_amd64.deb", "upgradelinkd_0.1.9-1~deb13u1_arm64.deb"]
        for name in others + ["upgradelinkd_0.1.9-1~deb13u1_amd64.deb"] { try scratch.write("deb/\(name)", "") }
        let output = await run("deb.sh trixie amd64 \(scratch.path)/deb", scratch)
        #expect(output.end.succeeded, "\(output)")
        let version = try #require(await shell("\(repositoryDirectory)/packaging/version.sh trixie").lines.first)
        let names = try Files.list("\(scratch.path)/deb").filter { $0.hasSuffix(".deb") }
        #expect(Set(names) == Set(others + ["upgradelinkd_\(version)_amd64.deb"]), "\(names)")
    }
}
