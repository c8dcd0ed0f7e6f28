import Glibc
import Host

/// Which files of the directory devices may download: the directory can also contain a secret key and the configuration.
struct ServedFiles {
    /// What a publisher puts next to an artifact, and `verification.signatureUrl` of the devices can name.
    private static let companions = [".minisig", ".sig", ".asc", ".sha256", ".sha512"]

    /// The path of the directory in URLs.
    static let root = "/files/"

    private var names: Set<String> = []

    /// Adds what a configuration names. What it does not name any more stays, because a device may be downloading it.
    mutating func add(_ configuration: SimulatorConfiguration) {
        for file in configuration.applications.flatMap(\.versions).map(\.file) {
            if let name = Self.name(inAddress: file) ?? (file.contains("://") ? nil : file) {
                names.insert(Self.plain(name))
            }
        }
        for redirect in configuration.faults.compactMap(\.redirect) {
            if let name = Self.name(inAddress: redirect) { names.insert(Self.plain(name)) }
        }
    }

    /// The name of a file in an address that may be one of this server: `/files/NAME`, `http://HOST/files/NAME`.
    private static func name(inAddress address: String) -> String? {
        let scheme = address.firstRange(of: "://")
        let path = scheme.map { address[$0.upperBound...].drop { $0 != "/" } } ?? address[...]
        return path.hasPrefix(root) ? String(path.dropFirst(root.count)) : nil
    }

    /// Whether devices may download the file.
    func contains(_ name: String) -> Bool {
        let name = Self.plain(name)
        return names.contains(name)
            || Self.companions.contains { name.hasSuffix($0) && names.contains(String(name.dropLast($0.count))) }
    }

    /// Opens a file of the directory.
    ///
    /// - Throws: ELOOP or ENOTDIR at a symbolic link, which could lead out of the directory; EINVAL if it is no regular file.
    static func open(_ name: String, in directory: String) throws(SystemError) -> OpenFile {
        var names: [FileName] = []
        for part in plain(name).split(separator: "/") {
            guard let name = FileName(String(part)) else {
                throw SystemError("open", "\(directory)/\(name)", code: ENOENT)
            }
            names.append(name)
        }
        guard let last = names.popLast() else { throw SystemError("open", directory, code: EISDIR) }
        var place = try Directory(directory)
        for name in names { place = try place.directory(name) }
        return try place.file(last)
    }

    /// A path without a query, and without empty parts and `.`, which clients remove.
    private static func plain(_ path: some StringProtocol) -> String {
        path.prefix { $0 != "?" && $0 != "#" }.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }
}
