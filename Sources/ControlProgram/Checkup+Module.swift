import Configuration
import DeviceChecks
import Host
import Systemd
import UpdateCore

/// The programs that the installer runs as root, and what they need.
extension Checkup {
    var module: [Finding] {
        let name = "update module"
        let install = settings.install
        guard let directory = moduleDirectory else {
            return [
                .bad(
                    name, "\(install.module) is not in \(install.directories.joined(separator: " or "))",
                    "install it, or set install.module")
            ]
        }
        let path = "\(directory)/\(install.module)"
        if let problem = InstalledProgram.problem(of: path) { return [.bad(name, problem.text, problem.remedy)] }
        if root == "/", let place = try? Directory.distrust(onTheWayTo: directory) {
            return [
                .bad(
                    name, "\(place.reason), so others than root can change what root runs",
                    place.remedy ?? "move the modules to another directory, and set install.moduleDirectories")
            ]
        }
        return [.ok(name, path)]
    }

    /// The directory with the configured module; nil if it is not installed.
    private var moduleDirectory: String? {
        settings.install.directories.first { Files.exists("\($0)/\(settings.install.module)") }
    }

    /// Whether the configured module came with this package: another package may have one of the same name.
    private var isOwnModule: Bool {
        guard let moduleDirectory else { return false }
        let (directory, build) = (Files.resolved(moduleDirectory), Files.resolved(programs))
        return directory == Files.resolved("/usr/lib/upgradelinkd/modules") || directory.hasPrefix("\(build)/")
    }

    /// What a module of this package needs: its options, and programs. Other modules have options of their own.
    var moduleOptions: [Finding] {
        let name = "module options"
        let (module, files) = (settings.install.module, settings.install.files)
        guard isOwnModule else {
            let place = moduleDirectory.map { "\($0)/\(module) is" } ?? "\(module) is"
            return [.skip(name, "\(place) not a module of this package")]
        }
        var problems: [Finding] = []
        func bad(_ text: String, _ remedy: String) { problems.append(.bad(name, text, remedy)) }
        switch module {
        case "file": if let problem = ModuleTarget.file(files["destination"]) { bad(problem.text, problem.remedy) }
        case "directory":
            if let problem = ModuleTarget.link(files["link"], versions: files["versions"]) {
                bad(problem.text, problem.remedy)
            }
        case "image":
            for option in ["slots", "bootloader"] where (files[option] ?? "").isEmpty {
                bad(
                    "install.files.\(option) is not set, and the module image needs it",
                    "set it; see upgradelink-modules(7)")
            }
        case "rauc", "swupdate", "deb":
            let program = module == "deb" ? "dpkg" : module
            if !InstalledProgram.isInPath(program) {
                bad("the module \(module) needs the program \(program), which is not installed", "install \(program)")
            }
            if settings.install.fileName != "artifact" {
                bad(
                    "install.fileName is \"\(settings.install.fileName)\", and the module \(module) needs \"artifact\"",
                    "set install.fileName = \"artifact\"")
            }
        default: return [.skip(name, "\(module) is not a module of this package")]
        }
        return problems.isEmpty ? [.ok(name, "\(module) has what it needs")] : problems
    }

    var healthCheck: [Finding] {
        let name = "health check"
        let install = settings.install
        var problems = HealthUnits.problems(of: install.healthUnits, restarted: install.restartUnits).map {
            Finding.bad(name, $0, "correct the option, or the unit")
        }
        if let program = install.healthProgram.first, let problem = InstalledProgram.problem(of: program) {
            problems.append(
                .bad(
                    name, "install.healthProgram: \(problem.text), so no update would pass the health check",
                    problem.remedy))
        }
        let parts = install.healthUnits + install.restartUnits + Array(install.healthProgram.prefix(1))
        if !problems.isEmpty { return problems }
        return [
            parts.isEmpty
                ? .warn(
                    name, "there is none: an update is committed as soon as the device runs it",
                    "set install.healthUnits or install.healthProgram")
                : .ok(name, parts.joined(separator: ", "))
        ]
    }

    var reboot: Finding {
        let name = "reboot"
        guard let program = settings.install.rebootCommand.first else { return .skip(name, "no command is configured") }
        if let problem = InstalledProgram.problem(of: program) {
            return .bad(name, "install.rebootCommand: \(problem.text), so the device is never rebooted", problem.remedy)
        }
        return .ok(name, settings.install.rebootCommand.joined(separator: " "))
    }
}
