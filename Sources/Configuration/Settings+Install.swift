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
        if files[fileName] != nil {
            check.report(
                "install.files", "found \"\(fileName)\", which is the artifact's own name (install.fileName)")
        }
        let command = merged.texts("install.rebootCommand") ?? []
        let healthProgram = merged.texts("install.healthProgram") ?? []
        checkRestartUnits(&check)
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
            windows: windows(merged), windowLimit: merged.require(seconds: "install.windowLimit"),
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

    static func checkRestartUnits(_ check: inout Check) {
        // It would end the installation that restarts it.
        for unit in check.merged.texts("install.restartUnits") ?? [] where unit.hasPrefix("upgradelink-installer") {
            check.report("install.restartUnits", "found \"\(unit)\", which cannot restart itself")
        }
    }

    static func windows(_ merged: MergedConfiguration) -> [MaintenanceWindow] {
        var windows: [MaintenanceWindow] = []
        for text in merged.texts("install.windows") ?? [] {
            if let window = MaintenanceWindow(text) { windows.append(window) }
        }
        return windows
    }
}
