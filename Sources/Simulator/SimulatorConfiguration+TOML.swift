import TOML

extension SimulatorConfiguration {
    /// An error in a configuration, as one line with its position.
    public struct Problem: Error, CustomStringConvertible, Sendable {
        public var description: String

        init(_ position: TOMLPosition, _ text: String) {
            description = "line \(position.line), column \(position.column): \(text)"
        }
    }

    private enum Key: String, CaseIterable { case port, directory, clockOffset, keys, applications, faults }

    /// Reads a configuration. By default the directory is the current one, and the server listens on loopback.
    ///
    /// - Throws: if the text is not TOML, a key is unknown or missing, or a value has the wrong type.
    public init(toml: String) throws(Problem) {
        let fields = try TOMLFields<Key>(document: toml)
        self.init(
            listen: .loopback(port: try fields.optional(.port) ?? ListenAddress.standardPort),
            directory: try fields.optional(.directory) ?? ".",
            clockOffset: try fields.optional(.clockOffset) ?? 0, keys: try fields.required(.keys),
            applications: try fields.optional(.applications) ?? [], faults: try fields.optional(.faults) ?? [])
    }
}

extension KeyPair: TOMLReadable {
    private enum Key: String, CaseIterable { case accessKey, secretKey }

    init(_ value: TOMLValue, at path: String) throws(SimulatorConfiguration.Problem) {
        let fields = try TOMLFields<Key>(value, at: path)
        self.init(accessKey: try fields.required(.accessKey), secretKey: try fields.required(.secretKey))
    }
}

extension Application: TOMLReadable {
    private enum Key: String, CaseIterable { case urlKey, groups, versions }

    init(_ value: TOMLValue, at path: String) throws(SimulatorConfiguration.Problem) {
        let fields = try TOMLFields<Key>(value, at: path)
        self.init(
            urlKey: try fields.required(.urlKey), groups: try fields.optional(.groups) ?? [:],
            versions: try fields.optional(.versions) ?? [])
    }
}

extension Version: TOMLReadable {
    private enum Key: String, CaseIterable {
        case versionCode, versionName, file, upgradeType, promptUpgradeContent, staged, rateLimit, models, devices,
            groups
    }

    init(_ value: TOMLValue, at path: String) throws(SimulatorConfiguration.Problem) {
        let fields = try TOMLFields<Key>(value, at: path)
        self.init(
            versionCode: try fields.required(.versionCode), versionName: try fields.required(.versionName),
            file: try fields.required(.file), upgradeType: try fields.required(.upgradeType),
            promptUpgradeContent: try fields.optional(.promptUpgradeContent) ?? "",
            staged: try fields.optional(.staged), rateLimit: try fields.optional(.rateLimit),
            models: try fields.optional(.models) ?? [], devices: try fields.optional(.devices) ?? [],
            groups: try fields.optional(.groups) ?? [])
    }
}

extension Fault: TOMLReadable {
    private enum Key: String, CaseIterable {
        case path, times, status, body, headers, dropAfter, bytesPerSecond, delay, contentLength, noRanges,
            changingETag, redirect, corrupt
    }

    init(_ value: TOMLValue, at path: String) throws(SimulatorConfiguration.Problem) {
        let fields = try TOMLFields<Key>(value, at: path)
        self.init(
            path: try fields.required(.path), times: try fields.optional(.times), status: try fields.optional(.status),
            body: try fields.optional(.body), headers: try fields.optional(.headers),
            dropAfter: try fields.optional(.dropAfter), bytesPerSecond: try fields.optional(.bytesPerSecond),
            delay: try fields.optional(.delay), contentLength: try fields.optional(.contentLength),
            noRanges: try fields.optional(.noRanges), changingETag: try fields.optional(.changingETag),
            redirect: try fields.optional(.redirect), corrupt: try fields.optional(.corrupt))
    }
}
