import Host
public import UpdateCore

/// The form of a devKey that is derived from a MAC address.
public enum DevKeyFormat: String, CaseIterable, Sendable {
    /// `001122aabbcc`
    case hex
    /// `001122AABBCC`
    case upperHex
    /// `00:11:22:aa:bb:cc`
    case colons
    /// `00:11:22:AA:BB:CC`
    case upperColons
    /// SHA-256 of the salt and the hex form, in hex.
    case sha256
}

/// The source of the installed version.
public enum VersionSource: Hashable, Sendable {
    case fixed(versionCode: Int, versionName: String?)
    case file(path: String, codeKey: String, nameKey: String?)
}

/// The identity and the version of the device.
public struct DeviceSettings: Hashable, Sendable {
    public var urlKey: String
    public var devModelKey: String?
    public var devKey: String?
    public var interface: String?
    public var devKeyFormat: DevKeyFormat
    public var devKeySalt: String
    /// The pinned version; nil for the latest.
    public var appointVersionCode: Int?
    public var version: VersionSource
}

public struct DownloadSettings: Hashable, Sendable {
    public var directory: String
    /// Bytes per second; 0 is no limit.
    public var speedLimit: Int
    /// Bytes; a larger file is refused.
    public var sizeLimit: Int
    /// Bytes that must stay free on the file system.
    public var keepFree: Int
    /// The connection ends if it is slower than this many bytes per second for `lowSpeedTime`.
    public var lowSpeed: Int
    public var lowSpeedTime: Seconds
    /// A download worker is stopped after this time; the next worker resumes the download.
    public var timeout: Seconds
    public var beforeConsent: Bool
    public var priority: DownloadPriority
}

/// The options of the section `install`.
public struct ModuleSettings: Hashable, Sendable {
    public var module: String
    public var directories: [String]
    public var fileName: String
    public var files: [String: String]
    /// JSON, for the module's meta-data.
    public var metaData: String
    public var timeout: Seconds
    public var timeouts: [String: Seconds]
    public var attempts: Int
    public var retryDelay: Seconds
    /// Maintenance windows. Empty: at any time.
    public var windows: [MaintenanceWindow]
    /// After this time without a usable window a version is overdue; 0: never.
    public var windowLimit: Seconds
    public var missedWindows: MissedWindows
    /// The device is idle if it has not been used for this long.
    public var idleTime: Seconds
    public var gracePeriod: Seconds
    public var inhibitLimit: Seconds
    public var deferrals: Int
    public var reboot: RebootPolicy
    public var rebootCommand: [String]
    /// A requested reboot that has not come after this time is requested again later.
    public var rebootTimeout: Seconds
    /// A program with its arguments: it checks after an update whether the device works. Empty: no program.
    public var healthProgram: [String]
    /// Units that must be active after an update.
    public var healthUnits: [String]
    /// Units that are restarted after a version was installed, and after a rollback. They must be active, too.
    public var restartUnits: [String]
    /// For which each of these units must have been active.
    public var healthSettle: Seconds
    public var healthTimeout: Seconds
    /// The module can use the device's network, which the installer itself cannot use.
    public var needsNetwork: Bool
}

/// The whole configuration, checked. It can only be made from the configuration files. The keys for the server are separate,
/// because only the agent needs them.
public struct Settings: Hashable, Sendable {
    public let server: ServerConnection
    public let device: DeviceSettings
    public let poll: PollSchedule
    public let download: DownloadSettings
    public let verification: VerificationPolicy
    public let install: ModuleSettings
    public let stateDirectory: String
    /// The directory of the installer, which the agent cannot read.
    public let installerDirectory: String
    /// The file with metrics for Prometheus; nil for none.
    public let metricsFile: String?
    /// Settings that are allowed but unwise, one line each.
    public let warnings: [String]

    /// Reads the configuration files below `root`.
    ///
    /// - Parameter environment: `STATE_DIRECTORY` and `CACHE_DIRECTORY` as systemd sets them (systemd.exec(5)).
    public static func load(root: String, environment: [String: String]) throws(ConfigurationError) -> Settings {
        try Settings(try MergedConfiguration(root: root), environment)
    }

    /// Reads the configuration files below `root`, and the keys for the server.
    ///
    /// - Parameter environment: as for ``load(root:environment:)``, and `CREDENTIALS_DIRECTORY`.
    public static func loadWithCredentials(
        root: String, environment: [String: String]
    ) throws(ConfigurationError) -> (settings: Settings, credentials: Credentials) {
        let merged = try MergedConfiguration(root: root)
        let keys = try credentials(merged, root: root, environment)
        return (try Settings(merged, environment), keys)
    }

    static let defaultInstallerDirectory = "/var/lib/upgradelink-installer"

    init(_ merged: MergedConfiguration, _ environment: [String: String]) throws(ConfigurationError) {
        server = try Self.server(merged)
        device = try Self.device(merged)
        poll = try Self.poll(merged)
        download = Self.download(merged, environment)
        verification = try Self.verification(merged)
        install = try Self.install(merged)
        stateDirectory =
            merged.text("state.directory") ?? environment["STATE_DIRECTORY"]?.firstPath ?? "/var/lib/upgradelinkd"
        installerDirectory =
            merged.text("state.installerDirectory") ?? merged.text("state.directory").map { "\($0)/installer" }
            ?? Self.defaultInstallerDirectory
        metricsFile = try Self.metricsFile(merged)
        warnings = merged.warnings + merged.warningsAboutFiles
    }

    private static func server(_ merged: MergedConfiguration) throws(ConfigurationError) -> ServerConnection {
        for (one, other) in [("clientCertificate", "clientKey"), ("clientKey", "clientCertificate")] {
            if merged.text("server.\(one)") != nil, merged.text("server.\(other)") == nil {
                throw merged.error(
                    "server.\(other)", "missing, and needed together with server.\(one)", because: "server.\(one)")
            }
        }
        for key in ["server.caBundle", "server.clientCertificate", "server.clientKey"] {
            if let path = merged.text(key), !Files.exists(path) {
                throw merged.error(key, "found \"\(path)\", which does not exist")
            }
        }
        return ServerConnection(
            url: merged.require(text: "server.url"),
            signingPath: merged.text("server.signingPath"), caBundle: merged.text("server.caBundle"),
            clientCertificate: merged.text("server.clientCertificate"), clientKey: merged.text("server.clientKey"),
            proxy: merged.text("server.proxy").flatMap { try? ProxyURL($0) },
            connectTimeout: merged.require(seconds: "server.connectTimeout"),
            requestTimeout: merged.require(seconds: "server.requestTimeout"))
    }

    private static func device(_ merged: MergedConfiguration) throws(ConfigurationError) -> DeviceSettings {
        guard let urlKey = merged.text("device.urlKey") else {
            throw merged.error("device.urlKey", "missing; set it to the application's urlKey on the server")
        }
        let version: VersionSource
        switch (merged.integer("device.versionCode"), merged.text("device.versionFile")) {
        case (let code?, nil): version = .fixed(versionCode: code, versionName: merged.text("device.versionName"))
        case (nil, let file?):
            version = .file(
                path: file, codeKey: merged.require(text: "device.versionCodeKey"),
                nameKey: merged.text("device.versionNameKey"))
        case (nil, nil):
            throw merged.error(
                "device.versionFile",
                "missing; set it to the file that says which version is installed, or device.versionCode to a number")
        case (_?, _?):
            throw merged.error(
                "device.versionFile", "found together with device.versionCode, allowed is one of the two")
        }
        let format = merged.text("device.devKeyFormat").flatMap(DevKeyFormat.init) ?? .hex
        let salt = merged.text("device.devKeySalt")
        if format == .sha256, salt == nil {
            throw merged.error(
                "device.devKeySalt",
                "missing, and needed for device.devKeyFormat = \"sha256\"; a MAC address alone is guessed soon")
        }
        let pinned = merged.require(integer: "device.appointVersionCode")
        return DeviceSettings(
            urlKey: urlKey, devModelKey: merged.text("device.devModelKey"), devKey: merged.text("device.devKey"),
            interface: merged.text("device.interface"), devKeyFormat: format, devKeySalt: salt ?? "",
            appointVersionCode: pinned > 0 ? pinned : nil, version: version)
    }

    private static func poll(_ merged: MergedConfiguration) throws(ConfigurationError) -> PollSchedule {
        let schedule = PollSchedule(
            interval: merged.require(seconds: "poll.interval"), splay: merged.require(seconds: "poll.splay"),
            backOffBase: merged.require(seconds: "poll.backOffBase"),
            backOffCap: merged.require(seconds: "poll.backOffCap")
        )
        guard schedule.backOffBase <= schedule.backOffCap else {
            throw merged.error(
                "poll.backOffBase",
                "found \(describe(schedule.backOffBase)), allowed is at most poll.backOffCap, \(describe(schedule.backOffCap))"
            )
        }
        return schedule
    }

    private static func download(_ merged: MergedConfiguration, _ environment: [String: String]) -> DownloadSettings {
        DownloadSettings(
            directory: merged.text("download.directory") ?? environment["CACHE_DIRECTORY"]?.firstPath
                ?? "/var/cache/upgradelinkd",
            speedLimit: merged.require(bytes: "download.speedLimit"),
            sizeLimit: merged.require(bytes: "download.sizeLimit"),
            keepFree: merged.require(bytes: "download.keepFree"),
            lowSpeed: merged.require(bytes: "download.lowSpeed"),
            lowSpeedTime: merged.require(seconds: "download.lowSpeedTime"),
            timeout: merged.require(seconds: "download.timeout"),
            beforeConsent: merged.flag("download.beforeConsent") ?? true,
            priority: DownloadPriority(
                ioClass: merged.text("download.ioClass").flatMap(DownloadPriority.IOClass.init) ?? .idle,
                nice: merged.integer("download.nice") ?? 10,
                flushEvery: merged.require(bytes: "download.flushEvery"),
                keepCache: merged.flag("download.keepCache") ?? false))
    }

    private static func verification(_ merged: MergedConfiguration) throws(ConfigurationError) -> VerificationPolicy {
        let mode = merged.text("verification.mode").flatMap(VerificationPolicy.Mode.init) ?? .minisign
        let template = merged.text("verification.signatureUrl") ?? (mode == .sha256 ? "{url}.sha256" : "{url}.minisig")
        do throws(SidecarTemplate.Problem) { _ = try SidecarTemplate(template) } catch {
            throw merged.error(
                "verification.signatureUrl", "found \"\(template.withoutUserInfo.sanitized(limit: 200))\", \(error)")
        }
        return VerificationPolicy(
            mode: mode, keys: mode == .minisign ? try VerificationKeys.collect(merged) : [], sidecarURL: template,
            requireVersionCode: merged.flag("verification.requireVersionCode") ?? true)
    }

    private static func install(_ merged: MergedConfiguration) throws(ConfigurationError) -> ModuleSettings {
        let module = merged.require(text: "install.module")
        let fileName = merged.require(text: "install.fileName")
        var files: [String: String] = [:]
        for (name, value) in merged.table("install.files") {
            if case .string(let text) = value { files[name] = text }
        }
        try requireName(module, "install.module", merged)
        try requireName(fileName, "install.fileName", merged)
        for name in files.keys.sorted() {
            try requireName(name, "install.files", merged)
            if name == fileName {
                throw merged.error(
                    "install.files", "found \"\(name)\", which is the artifact's own name (install.fileName)")
            }
        }
        let command = merged.texts("install.rebootCommand") ?? []
        let healthProgram = merged.texts("install.healthProgram") ?? []
        for (key, words) in [("rebootCommand", command), ("healthProgram", healthProgram)] {
            let mayBeEmpty = key == "healthProgram"
            guard words.first?.hasPrefix("/") ?? mayBeEmpty else {
                throw merged.error(
                    "install.\(key)", "found \(words), allowed is an absolute path and its arguments, a text each")
            }
        }
        for key in ["install.healthUnits", "install.restartUnits"] { try checkUnits(key, merged) }
        let healthTimeout = merged.require(seconds: "install.healthTimeout")
        var healthSettle = merged.require(seconds: "install.healthSettle")
        if merged.entries["install.healthSettle"] == nil {
            healthSettle = min(healthSettle, healthTimeout / 2)
        } else if healthSettle >= healthTimeout {
            throw merged.error(
                "install.healthSettle", "it must be shorter than install.healthTimeout, or no unit can pass the check")
        }
        return ModuleSettings(
            module: module,
            directories: merged.texts("install.moduleDirectories") ?? [],
            fileName: fileName, files: files, metaData: Value.table(merged.table("install.metaData")).json,
            timeout: merged.require(seconds: "install.timeout"),
            timeouts: merged.table("install.timeouts").compactMapValues { Option.seconds($0) },
            attempts: merged.require(integer: "install.attempts"),
            retryDelay: merged.require(seconds: "install.retryDelay"),
            windows: try windows(merged), windowLimit: merged.require(seconds: "install.windowLimit"),
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

    private static func metricsFile(_ merged: MergedConfiguration) throws(ConfigurationError) -> String? {
        guard let path = merged.text("metrics.file") else { return nil }
        // The collector reads no other file.
        guard path.hasSuffix(".prom"), !path.hasSuffix("/.prom") else {
            throw merged.error("metrics.file", "found \"\(path)\", allowed is a name that ends with .prom")
        }
        return path
    }

    private static func checkUnits(_ key: String, _ merged: MergedConfiguration) throws(ConfigurationError) {
        for unit in merged.texts(key) ?? [] {
            if unit.hasPrefix("-") || !unit.contains(".") {
                throw merged.error(key, "found \"\(unit)\", allowed are names of units, such as \"player.service\"")
            }
            if unit.contains("@.") {
                throw merged.error(
                    key, "found the template \"\(unit)\", allowed are instances, such as \"player@1.service\"")
            }
            // It would end the installation that restarts it.
            if key == "install.restartUnits", unit.hasPrefix("upgradelink-installer") {
                throw merged.error(key, "found \"\(unit)\", which cannot restart itself")
            }
        }
    }

    private static func windows(_ merged: MergedConfiguration) throws(ConfigurationError) -> [MaintenanceWindow] {
        var windows: [MaintenanceWindow] = []
        for text in merged.texts("install.windows") ?? [] {
            guard let window = MaintenanceWindow(text) else {
                throw merged.error(
                    "install.windows",
                    "found \"\(text.sanitized(limit: 60))\", allowed are days and hours of local time, such as "
                        + "\"Mon-Fri 02:00-05:00\", \"Sat,Sun 23:00-06:00\" or \"03:30-04:30\"")
            }
            windows.append(window)
        }
        return windows
    }

    /// Requires a name, not a path: it must not lead out of its directory.
    private static func requireName(
        _ name: String, _ key: String, _ merged: MergedConfiguration
    ) throws(ConfigurationError) {
        guard !name.isEmpty, !name.contains("/"), name != ".", name != ".." else {
            throw merged.error(key, "found \"\(name)\", allowed is a plain file name")
        }
    }
}

extension String {
    /// The first of the directories that systemd separates by colons.
    fileprivate var firstPath: String? { split(separator: ":").first.map(String.init) }
}
