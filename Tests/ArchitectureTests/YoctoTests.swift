import Host
import TestSupport
import Testing

/// The layer for Yocto and the external tree for Buildroot, without their build systems. `packaging/dependencies.sh test` installs
/// the checker of recipes. docs/yocto.md says what the build systems themselves have said.
@Suite struct YoctoTests {
    private static let checker = "\(repositoryDirectory)/.cache/oelint/bin"
    private static let layer = "\(repositoryDirectory)/packaging/yocto/meta-upgradelink"
    private static let missing: Comment = "oelint-adv is missing: packaging/dependencies.sh test installs it from PyPI"

    /// Rules that do not apply to the whole layer. Exceptions of one line are in the recipes, as `nooelint` with a reason.
    private static let suppressed: [String: String] = [
        "oelint.vars.homepageping": "a test uses no network",
        "oelint.var.bbclassextend": "nothing here runs on the build machine",
        "oelint.var.suggestedvar.BUGTRACKER": "there is no public bug tracker",
        "oelint.var.suggestedvar.CVE_PRODUCT": "for examples and packagegroups; upgradelinkd.inc has it",
    ]

    /// What the checker says about files.
    @MainActor private func findings(_ files: [String], release: String) async -> [String] {
        let options = Self.suppressed.keys.flatMap { ["--suppress", $0] }
        let (lines, errors, end) = await Program(
            "\(Self.checker)/oelint-adv",
            ["--quiet", "--mode", "all", "--jobs", "1", "--release", release, "--extra-layer", "rauc"] + options
                + files, streams: .captured, timeLimit: 120
        ).run()
        let findings = (lines + errors).filter { $0.contains(":oelint.") }
        #expect(end == .exited(findings.isEmpty ? 0 : 1), "\(errors)")
        return findings
    }

    @Test(.enabled(if: Files.exists("\(checker)/oelint-adv"), missing), arguments: ["scarthgap", "wrynose"]) @MainActor
    func theCheckerFindsNothing(release: String) async throws {
        let files = try Self.files(below: Self.layer) { name in
            [".bb", ".bbappend", ".inc", ".conf"].contains { name.hasSuffix($0) }
        }
        #expect(files.count >= 8)
        #expect(await findings(files, release: release) == [])

        let scratch = try Scratch()
        let recipe = try scratch.write("wrong_1.0.bb", "SUMMARY = \"x\"\nSRCREV = \"${AUTOREV}\"\n")
        let wrong = await findings([recipe], release: release)
        #expect(wrong.contains { $0.contains("oelint.vars.autorev") }, "a mistake is seen: \(wrong)")
    }

    @Test func theVersionIsThatOfTheProgram() throws {
        let source = try Self.text("Sources/UpdateCore/ProductVersion.swift")
        let version = try #require(source.firstMatch(of: /productVersion = "([0-9.]+)"/)?.output.1)
        #expect(try Self.text("packaging/debian/changelog").hasPrefix("upgradelinkd (\(version)"))
        let recipes = try Files.list("\(Self.layer)/recipes-core/upgradelinkd")
        #expect(recipes.contains("upgradelinkd_\(version).bb") && recipes.contains("upgradelink-sim_\(version).bb"))
        #expect(recipes.count { $0.hasSuffix(".bb") } == 2)
        let package = try Self.text("packaging/buildroot/package/upgradelinkd/upgradelinkd.mk")
        #expect(package.contains("UPGRADELINKD_VERSION = \(version)\n"))
    }

    @Test @MainActor func theLicenseIsTheOneInTheRecipe() async throws {
        let recipe = try Self.text("packaging/yocto/meta-upgradelink/recipes-core/upgradelinkd/upgradelinkd.inc")
        let stated = try #require(recipe.firstMatch(of: /file:\/\/LICENSE;md5=([0-9a-f]{32})"/)?.output.1)
        let (lines, errors, _) = await Program(
            "/usr/bin/md5sum", ["\(repositoryDirectory)/LICENSE"], streams: .captured, timeLimit: 20
        ).run()
        #expect(lines.first?.hasPrefix(stated) == true, "\(lines) \(errors)")
    }

    /// A branch or AUTOREV would be another program each day.
    @Test func noRecipeFollowsABranch() throws {
        for file in try Self.files(below: Self.layer, where: { $0.hasSuffix(".bb") || $0.hasSuffix(".inc") }) {
            let text = String(decoding: try Files.read(file, limit: 1 << 20), as: UTF8.self)
            for assignment in text.matches(of: /\nSRCREV[^=]*= *"([^"]*)"/).map(\.output.1) {
                #expect(
                    assignment == "${UPGRADELINKD_SRCREV}" || assignment.wholeMatch(of: /[0-9a-f]{40}/) != nil,
                    "\(file): \(assignment)")
            }
        }
    }

    /// systemd-sysusers(8), the recipe and Buildroot name the same users: oe-core compares the first two in each image.
    @Test func theUsersAreThoseOfSysusers() throws {
        let sysusers = try Self.text("packaging/sysusers/upgradelinkd.conf")
        let user = try #require(sysusers.firstMatch(of: /(?m)^u (\S+) - "([^"]+)" (\S+)$/)?.output)
        let group = try #require(sysusers.firstMatch(of: /(?m)^g (\S+) -$/)?.output.1)
        let recipe = try Self.recipe().replacing("${localstatedir}", with: "/var")
        #expect(recipe.contains("GROUPADD_PARAM:${PN} = \"--system \(group)\"\n"))
        #expect(recipe.contains("--home-dir \(user.3) ") && recipe.contains("--comment '\(user.2)' \(user.1)\"\n"))
        let package = try Self.text("packaging/buildroot/package/upgradelinkd/upgradelinkd.mk")
        #expect(package.contains("\n\t\(user.1) -1 \(user.1) -1 * - - - \(user.2)\n"))
        #expect(package.contains("\n\t- -1 \(group) -1 "))
    }

    /// What `make install-files` installs with the variables of the recipe, and the package of each file.
    @MainActor private func packages(_ recipe: String, _ target: String) async throws -> [String: String] {
        let scratch = try Scratch()
        let (lines, errors, end) = await Program(
            "\(Self.checker)/python",
            [
                "\(repositoryDirectory)/Tests/Yocto/packages.py", "\(Self.layer)/recipes-core/upgradelinkd/\(recipe)",
                target, programsDirectory, scratch.path,
            ], streams: .captured, timeLimit: 120
        ).run()
        #expect(end == .exited(0), "\(errors)")
        var packages: [String: String] = [:]
        for line in lines {
            let fields = line.split(separator: " ")
            guard fields.count == 4 else { continue }
            packages[String(fields[3])] = String(fields[0])
        }
        return packages
    }

    @Test(.enabled(if: Files.exists("\(checker)/oelint-adv"), missing)) @MainActor
    func everyFileIsInAPackage() async throws {
        let version = try #require(
            try Files.list("\(Self.layer)/recipes-core/upgradelinkd").compactMap {
                $0.wholeMatch(of: /upgradelinkd_(.*)\.bb/)?.output.1
            }.first)
        let packages = try await packages("upgradelinkd_\(version).bb", "install-files")
        #expect(packages.filter { $0.value == "-" } == [:], "no package has these files")
        let modules = "/usr/lib/upgradelinkd/modules"
        for (file, package) in [
            "/usr/lib/upgradelinkd/upgradelink": "upgradelinkd", "/usr/sbin/upgradelinkd": "upgradelinkd",
            "\(modules)/file": "upgradelinkd", "\(modules)/rauc": "upgradelinkd-module-rauc",
            "\(modules)/swupdate": "upgradelinkd-module-swupdate", "\(modules)/deb": "upgradelinkd-module-deb",
            "\(modules)/deb.uninterruptible": "upgradelinkd-module-deb",
            "/usr/lib/systemd/system/upgradelink-boot.service": "upgradelinkd-boot",
            "/usr/lib/sysusers.d/upgradelinkd.conf": "upgradelinkd",
            "/usr/share/dbus-1/interfaces/org.upgradelink.Agent1.xml": "upgradelinkd-dev",
            "/usr/share/man/man8/upgradelinkd.8": "upgradelinkd-doc",
            "/usr/share/doc/upgradelinkd/README.md": "upgradelinkd-doc",
        ] {
            #expect(packages[file] == package, "\(file)")
        }
        // Every unit that a package enables is in this package.
        for match in try Self.recipe().matches(of: /SYSTEMD_SERVICE:\$\{PN\}(\S*) = "([^"]*)"/) {
            for unit in match.output.2.split(separator: " ") {
                #expect(packages["/usr/lib/systemd/system/\(unit)"] == "upgradelinkd\(match.output.1)", "\(unit)")
            }
        }
        // A module of its own package has a name in PACKAGECONFIG.
        for package in Set(packages.values) {
            guard let name = package.wholeMatch(of: /upgradelinkd-module-(.*)/)?.output.1 else { continue }
            #expect(try Self.recipe().contains("PACKAGECONFIG[\(name)] = \",,,${PN}-module-\(name)\""))
        }
        let simulator = try await self.packages("upgradelink-sim_\(version).bb", "install-sim-files")
        #expect(simulator["/usr/bin/upgradelink-sim"] == "upgradelink-sim")
        #expect(simulator.filter { $0.value == "-" } == [:], "no package has these files")
    }

    /// The example of a device's configuration.
    @Test @MainActor func theAgentAcceptsTheExample() async throws {
        let example = "packaging/yocto/meta-upgradelink/examples/meta-device/recipes-core/upgradelinkd-conf/files"
        let root = try Scratch()
        try root.write(
            "usr/lib/upgradelinkd/upgradelinkd.toml.d/50-device.toml", try Self.text("\(example)/50-device.toml"))
        let (lines, errors, end) = await Program(
            "\(programsDirectory)/upgradelinkctl", ["config", "--changed", "--root", root.path], streams: .captured,
            timeLimit: 60
        ).run()
        #expect(end == .exited(0), "\(errors)")
        #expect(lines.contains { $0.contains("\"rauc\"") && $0.contains("50-device.toml") }, "\(lines)")
    }

    // MARK: files

    private static func recipe() throws -> String {
        let directory = "\(layer)/recipes-core/upgradelinkd"
        let name = try #require(try Files.list(directory).first { $0.hasPrefix("upgradelinkd_") })
        return String(decoding: try Files.read("\(directory)/\(name)", limit: 1 << 20), as: UTF8.self)
    }

    private static func text(_ path: String) throws -> String {
        String(decoding: try Files.read("\(repositoryDirectory)/\(path)", limit: 1 << 20), as: UTF8.self)
    }

    private static func files(below path: String, where isWanted: (String) -> Bool) throws -> [String] {
        guard let names = try? Files.list(path) else { return isWanted(path) ? [path] : [] }
        return try names.sorted().flatMap { try files(below: "\(path)/\($0)", where: isWanted) }
    }
}
