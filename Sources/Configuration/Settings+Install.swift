import UpdateCore

extension Settings {
    static func install(_ check: inout Check) -> ModuleSettings {
        let merged = check.merged
        let module = merged.require(text: "install.module")
        let fileName = merged.require(text: "install.fileName")
        var files: [String: String] = [:]
        for (name, value) in merged.table("install.files") {
            if case .string(let text) = value { files[name] = text }
        }
        requireName(module, "install.module", &check)
        requireName(fileName, "install.fileName", &check)
        for name in files.keys.sorted() {
            requireName(name, "install.files", &check)
            if name == fileName {
                check.report(
                    "install.files", "found \"\(name)\", which is the artifact's own name (install.fileName)")
            }
        }
        let command = merged.texts("install.rebootCommand") ?? []
        let healthProgram = merged.texts("install.healthProgram") ?? []
        for (key, words) in [("rebootCommand", command), ("healthProgram", healthProgram)] {
            let mayBeEmpty = key == "healthProgram"
            if !(words.first?.hasPrefix("/") ?? mayBeEmpty) {
                check.report(
                    "install.\(key)", "found \(words), allowed is an absolute path and its arguments, a text each")
            }
        }
        for key in ["install.healthUnits", "install.restartUnits"] { checkUnits(key, &check) }
        let healthTimeout = merged.require(seconds: "install.healthTimeout")
        let healthSettle = merged.healthSettle
        if healthSettle >= healthTimeout {
            check.report(
                "install.healthSettle", "it must be shorter than install.healthTimeout, or no unit can pass the check",
                because: "install.healthTimeout")
        }
        return ModuleSettings(
            module: module,
            directories: merged.texts("install.moduleDirectories") ?? [],
            fileName: fileName, files: files, metaData: Value.table(merged.table("install.metaData")).json,
            timeout: merged.require(seconds: "install.timeout"),
            timeouts: merged.table("install.timeouts").compactMapValues { Option.seconds($0) },
            attempts: merged.require(integer: "install.attempts"),
            retryDelay: merged.require(seconds: "install.retryDelay"),
            windows: windows(&check), windowLimit: merged.require(seconds: "install.windowLimit"),
            missedWindows: merged.text("install.missedWindows").flatMap(MissedWindows.init) ?? .idle,
            idleTime: merged.require(seconds: "install.idleTime"),
            gracePeriod: merged.require(seconds: "install.gracePeriod"),
            inhibitLimit: merged.require(seconds: "install.inhibitLimit"),
            deferrals: merged.require(integer: "install.deferrals"),
            reboot: merged.text("install.reboot").flatMap(RebootPolicy.init) ?? .immediate, rebootCommand: command,
            rebootTimeout: merged.require(seconds: "install.rebootTimeout"),
            healthProgram: healthProgram, healthUnits: merged.texts("install.healthUnits") ?? [],
            restartUnits: merged.texts("install.restartUnits") ?? [],
            healthSettle: healthSettle,
            healthTimeout: healthTimeout,
            needsNetwork: merged.flag("install.network") ?? false)
    }

    static func checkUnits(_ key: String, _ check: inout Check) {
        for unit in check.merged.texts(key) ?? [] {
            if unit.hasPrefix("-") || !unit.contains(".") {
                check.report(key, "found \"\(unit)\", allowed are names of units, such as \"player.service\"")
            }
            if unit.contains("@.") {
                check.report(
                    key, "found the template \"\(unit)\", allowed are instances, such as \"player@1.service\"")
            }
            // It would end the installation that restarts it.
            if key == "install.restartUnits", unit.hasPrefix("upgradelink-installer") {
                check.report(key, "found \"\(unit)\", which cannot restart itself")
            }
        }
    }

    static func windows(_ check: inout Check) -> [MaintenanceWindow] {
        var windows: [MaintenanceWindow] = []
        for text in check.merged.texts("install.windows") ?? [] {
            guard let window = MaintenanceWindow(text) else {
                check.report(
                    "install.windows",
                    "found \"\(text.sanitized(limit: 60))\", allowed are days and hours of local time, such as "
                        + "\"Mon-Fri 02:00-05:00\", \"Sat,Sun 23:00-06:00\" or \"03:30-04:30\"")
                continue
            }
            windows.append(window)
        }
        return windows
    }

    /// Requires a name, not a path: it must not lead out of its directory.
    static func requireName(
        _ name: String, _ key: String, _ check: inout Check
    ) {
        if name.isEmpty || name.contains("/") || name == "." || name == ".." {
            check.report(key, "found \"\(name)\", allowed is a plain file name")
        }
    }
}
