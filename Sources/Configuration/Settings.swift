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
    public var speedLimit: ByteCount
    /// Bytes; a larger file is refused.
    public var sizeLimit: ByteCount
    /// Bytes that must stay free on the file system.
    public var keepFree: ByteCount
    /// The connection ends if it is slower than this many bytes per second for `lowSpeedTime`.
    public var lowSpeed: ByteCount
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

    /// Reads the configuration files below `root`, and reports everything that is wrong with them.
    ///
    /// - Parameter environment: `STATE_DIRECTORY` and `CACHE_DIRECTORY` as systemd sets them (systemd.exec(5)).
    public static func load(root: String, environment: [String: String]) throws(ConfigurationErrors) -> Settings {
        try Settings(MergedConfiguration(root: root), environment)
    }

    /// Reads the configuration files below `root`, and the keys for the server.
    ///
    /// - Parameter environment: as for ``load(root:environment:)``, and `CREDENTIALS_DIRECTORY`.
    public static func loadWithCredentials(
        root: String, environment: [String: String]
    ) throws(ConfigurationErrors) -> (settings: Settings, credentials: Credentials) {
        var check = Check(MergedConfiguration(root: root))
        let keys = credentials(&check, root: root, environment)
        return (try Settings(&check, environment), keys)
    }

    static let defaultInstallerDirectory = "/var/lib/upgradelink-installer"

    init(_ merged: MergedConfiguration, _ environment: [String: String]) throws(ConfigurationErrors) {
        var check = Check(merged)
        try self.init(&check, environment)
    }

    private init(_ check: inout Check, _ environment: [String: String]) throws(ConfigurationErrors) {
        let merged = check.merged
        server = Self.server(&check)
        device = Self.device(&check)
        poll = Self.poll(&check)
        download = Self.download(merged, environment)
        verification = Self.verification(&check)
        install = Self.install(&check)
        stateDirectory =
            merged.text("state.directory") ?? environment["STATE_DIRECTORY"]?.firstPath ?? "/var/lib/upgradelinkd"
        installerDirectory =
            merged.text("state.installerDirectory") ?? merged.text("state.directory").map { "\($0)/installer" }
            ?? Self.defaultInstallerDirectory
        metricsFile = merged.text("metrics.file")
        warnings = merged.warnings + merged.warningsAboutFiles
        if let errors = ConfigurationErrors(check.errors) { throw errors }
    }
}

extension String {
    /// The first of the directories that systemd separates by colons.
    var firstPath: String? { split(separator: ":").first.map(String.init) }
}
