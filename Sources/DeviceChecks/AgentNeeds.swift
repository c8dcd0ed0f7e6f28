public import Configuration
import Glibc
import Host
import UpdateCore

/// What the agent itself must be able to read and to write. ``findings(interfaces:)`` checks it with the rights of the process
/// that calls it, and has no side effects.
public struct AgentNeeds: Codable, Hashable, Sendable {
    /// A file that an option names, or that belongs to the configuration.
    public struct File: Codable, Hashable, Sendable {
        public enum Content: String, Codable, Sendable {
            /// The configuration is read to check it: only the right to read it matters.
            case any
            /// One or more certificates in PEM.
            case certificates
            /// A private key in PEM.
            case privateKey
        }

        /// The option that names the file; nil for a file of the configuration itself.
        public var option: String?
        public var path: String
        public var content: Content
    }

    struct VersionFile: Codable, Hashable, Sendable {
        var path: String
        var codeKey: String
        var nameKey: String?
    }

    struct Directory: Codable, Hashable, Sendable {
        var option: String
        var path: String
        /// Bytes; less free space is an error.
        var minimum: ByteCount
        /// Updates work without it.
        var isOptional = false
    }

    /// The names of the findings, in their order, without those that there are only if something is wrong.
    public static let names = [
        Name.configuration, Name.credentials, Name.identity, Name.version, Name.certificates, Name.directories,
    ]

    enum Name {
        static let configuration = "files"
        static let credentials = "credentials"
        static let identity = "identity"
        static let version = "installed version"
        static let certificates = "certificates"
        static let directories = "directories"
        static let installer = "installer"
        static let server = "server"
    }

    var configuration: [File]
    var credentials: [File]
    var certificates: [File]
    var directories: [Directory]
    /// Nil if the configuration has the version itself.
    var versionFile: VersionFile?
    var versionCode: Int?
    var versionName: String?
    var devKey: String?
    var interface: String?
    var stateDirectory: String
    /// Directories that the unit of the agent hides from it, with the setting that does so.
    var hidden: [String: String] = [:]
    /// Directories that systemd creates, and gives to the agent, when it starts the unit.
    var created: [String] = []
    /// The installer socket; nil if it is not checked.
    public var socket: String?
    /// A program that the agent starts, `upgradelink-fetch`; nil if it is not checked.
    public var worker: String?

    /// The agent stores its state with this much space, in bytes.
    private static let spaceForState: ByteCount = 1 << 20

    /// - Parameter root: the directory that replaces `/` when the configuration is read.
    public init(_ settings: Settings, root: String) {
        let files = ConfigurationFiles(root: root)
        configuration = files.configuration.map { File(option: nil, path: $0, content: .any) }
        credentials = files.credentials.map { File(option: $0.option, path: $0.path, content: .any) }
        let server = settings.server
        certificates = [
            ("server.caBundle", server.caBundle, File.Content.certificates),
            ("server.clientCertificate", server.clientCertificate, .certificates),
            ("server.clientKey", server.clientKey, .privateKey),
        ].compactMap { option, path, content in path.map { File(option: option, path: $0, content: content) } }
        directories = [
            Directory(option: "state.directory", path: settings.stateDirectory, minimum: Self.spaceForState),
            Directory(option: "download.directory", path: settings.download.directory, minimum: 0),
        ]
        if let path = settings.metricsFile {
            directories.append(
                Directory(option: "metrics.file", path: Files.directory(of: path), minimum: 0, isOptional: true))
        }
        switch settings.device.version {
        case .fixed(let code, let name): (versionCode, versionName) = (code, name)
        case .file(let path, let codeKey, let nameKey):
            versionFile = VersionFile(path: path, codeKey: codeKey, nameKey: nameKey)
        }
        devKey = settings.device.devKey
        interface = settings.device.interface
        stateDirectory = settings.stateDirectory
    }

    /// Checks everything with the rights of this process.
    public func findings() -> [Finding] {
        let access = Access(hidden: hidden, created: Set(created))
        return [
            files(Name.configuration, configuration, access, ifNone: "there are none"),
            files(Name.credentials, credentials, access, ifNone: "in the configuration, or passed by systemd"),
            identity(access), version(access),
            files(Name.certificates, certificates, access, ifNone: "those of the system"),
        ].flatMap(\.self) + directories(access) + installer + fetchWorker
    }

    // MARK: the other programs

    /// As connect(2) does, access(2) requires the right to write to the socket. A connection would start the installer.
    private var installer: [Finding] {
        guard let socket, access(socket, W_OK) != 0, errno == EACCES else { return [] }
        if let closed = Access.closedDirectory(onTheWayTo: socket) {
            return [
                .bad(
                    Name.installer, "the agent cannot reach \(socket): it cannot enter \(closed)", "chmod o+x \(closed)"
                )
            ]
        }
        return [
            .bad(
                Name.installer, "the agent cannot connect to \(socket): Permission denied",
                "systemctl restart upgradelink-installer.socket; "
                    + "its unit needs SocketGroup=\(AgentRights.user) and SocketMode=0660 "
                    + "(systemctl cat upgradelink-installer.socket)")
        ]
    }

    private var fetchWorker: [Finding] {
        guard let worker, access(worker, X_OK) != 0 else { return [] }
        let reason = String(cString: strerror(errno))
        let closed = Access.closedDirectory(onTheWayTo: worker)
        return [
            .bad(
                Name.server, "the agent cannot execute \(worker): \(reason)",
                closed.map { "chmod o+x \($0)" } ?? "install upgradelinkd again")
        ]
    }

    // MARK: files

    private func files(_ name: String, _ files: [File], _ access: Access, ifNone none: String) -> [Finding] {
        if files.isEmpty { return [.ok(name, none)] }
        let problems = files.compactMap { file -> Finding? in
            let option = file.option ?? "its path"
            let bytes: [UInt8]
            do throws(SystemError) {
                // A directory of the configuration is listed, and each of its files is checked.
                if file.option == nil, Access.isDirectory(file.path) {
                    _ = try Files.list(file.path)
                    return nil
                }
                bytes = try Files.read(file.path, limit: 4 << 20)
            } catch {
                return .bad(
                    name, "\(file.option.map { "\($0): " } ?? "")the agent \(error)",
                    access.remedy(for: error, path: file.path, option: option))
            }
            return PEM.problem(of: bytes, file, name: name, now: Clock.wallTime, text: LocalTime.text)
        }
        return problems.isEmpty
            ? [.ok(name, "the agent can read \(files.map(\.path).joined(separator: ", "))")] : problems
    }

    // MARK: identity and version

    private func identity(_ access: Access) -> [Finding] {
        if let devKey { return [.ok(Name.identity, "device.devKey is \(devKey)")] }
        do throws(NetworkInterfaces.Failure) {
            let found = try Identity.find(
                interface: interface, directory: stateDirectory, interfaces: NetworkInterfaces())
            return [
                .ok(
                    Name.identity,
                    found.isRemembered
                        ? "devKey is derived from the address that \(Identity.path(stateDirectory)) has"
                        : "devKey is derived from the address of a network interface")
            ]
        } catch {
            return [
                .bad(
                    Name.identity, "device.devKey is missing, and \(error)",
                    "without an identity upgradelinkd does not start")
            ]
        }
    }

    private func version(_ access: Access) -> [Finding] {
        guard let versionFile else {
            return [
                .warn(
                    Name.version, "device.versionCode is always \(versionCode ?? 0), also after an update",
                    "set device.versionFile to a file that each update replaces")
            ]
        }
        let source = VersionSource.file(
            path: versionFile.path, codeKey: versionFile.codeKey, nameKey: versionFile.nameKey)
        switch source.read() {
        case .known(let code, let name):
            return [.ok(Name.version, "\(name.map { "\($0), " } ?? "")code \(code), in \(versionFile.path)")]
        case .unknown(let reason):
            let remedy = access.remedy(forReading: versionFile.path, option: "device.versionFile")
            return [.bad(Name.version, reason, remedy ?? "set device.versionFile and device.versionCodeKey")]
        }
    }

    // MARK: directories

    private func directories(_ access: Access) -> [Finding] {
        let problems = directories.compactMap { directory -> Finding? in
            guard let problem = access.problem(of: directory, name: Name.directories) else { return nil }
            guard directory.isOptional else { return problem }
            let path = directory.path
            // The directory of the metrics has other readers and writers, so it cannot be given to the agent alone.
            let isSomethingElse = Files.isLink(path) || Files.exists(path) && !Access.isDirectory(path)
            return .warn(
                problem.name, problem.text,
                isSomethingElse
                    ? problem.remedy
                    : "let the user \(AgentRights.user) write in \(path), and its service too (ReadWritePaths=, systemctl "
                        + "edit upgradelinkd), or use /run/upgradelinkd-metrics")
        }
        return problems.isEmpty
            ? [
                .ok(
                    Name.directories,
                    "the agent can write to \(directories.map(\.path).joined(separator: ", "))")
            ] : problems
    }
}
