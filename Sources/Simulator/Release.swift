public import Host
import TOML

/// A version that `upgradelink-sim release` has registered: a file `NAME.release.toml` next to the artifact. The server offers
/// it as soon as the file is there.
public struct Release: Sendable {
    public var urlKey: String
    public var version: Version

    /// The ending of a registration's name.
    public static let suffix = ".release.toml"

    public init(urlKey: String, version: Version) {
        self.urlKey = urlKey
        self.version = version
    }

    /// The name of the artifact and of its registration, without their endings.
    public static func name(urlKey: String, versionCode: Int) -> String { "\(urlKey)-\(versionCode)" }

    private var name: String { Self.name(urlKey: urlKey, versionCode: version.versionCode) }

    /// The path of the registration in a directory of releases.
    public func path(in directory: String) -> String { "\(directory)/\(name)\(Self.suffix)" }

    /// Registers the version: the file is written under another name and then renamed.
    public func write(in directory: String) throws(SystemError) {
        try Files.replace(path(in: directory), with: Array(text.utf8), mode: 0o644)
    }

    /// A registration as it is on the disk.
    struct File: Sendable {
        var name: String
        var content: Result<[UInt8], SystemError>
    }

    /// The registrations of a directory, by file name.
    ///
    /// - Throws: if the directory cannot be listed.
    static func files(in directory: String) throws(SystemError) -> [File] {
        var files: [File] = []
        for name in try Files.list(directory) where name.hasSuffix(suffix) {
            do throws(SystemError) {
                files.append(File(name: name, content: .success(try read(name, in: directory))))
            } catch {
                // Another process may have removed it meanwhile.
                if !error.isNotFound { files.append(File(name: name, content: .failure(error))) }
            }
        }
        return files
    }

    private static func read(_ name: String, in directory: String) throws(SystemError) -> [UInt8] {
        try Files.read("\(directory)/\(name)", limit: 65_536)
    }

    /// The other versions that are registered in a directory.
    private func others(in directory: String) throws -> [Release] {
        let own = "\(name)\(Self.suffix)"
        return try Self.files(in: directory).filter { $0.name != own }.map { try Release(content: $0.content) }
    }

    /// Ends the offer of the version that is registered under this one's name.
    ///
    /// - Returns: the name of that version's artifact if no version needs it any more. An artifact is kept if that is not certain.
    public func withdraw(in directory: String) throws(SystemError) -> String? {
        let path = path(in: directory)
        let old = try? Release(content: .success(Files.read(path, limit: 65_536)))
        try Files.remove(path)
        guard let file = old?.version.file, FileName(file) != nil, file != version.file,
            let others = try? others(in: directory), !others.contains(where: { $0.version.file == file })
        else { return nil }
        return file
    }

    private var text: String {
        """
        # Written by upgradelink-sim release. The keys of [version] are those of [[applications.versions]].
        urlKey = \(Self.quoted(urlKey))
        [version]
        versionCode = \(version.versionCode)
        versionName = \(Self.quoted(version.versionName))
        file = \(Self.quoted(version.file))
        upgradeType = \(version.upgradeType)
        promptUpgradeContent = \(Self.quoted(version.promptUpgradeContent))

        """
    }

    /// A basic string of TOML.
    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

extension Release {
    private enum Key: String, CaseIterable { case urlKey, version }

    /// Why a registration is not offered, as one line.
    struct Problem: Error, CustomStringConvertible {
        var description: String
    }

    /// - Throws: if it cannot be read, or is no registration.
    init(content: Result<[UInt8], SystemError>) throws(Problem) {
        do {
            try self.init(toml: String(decoding: try content.get(), as: UTF8.self))
        } catch {
            throw Problem(description: (error as? SystemError)?.reason ?? "\(error)")
        }
    }

    /// - Throws: if the text is not TOML, a key is unknown or missing, or a value has the wrong type.
    private init(toml: String) throws(SimulatorConfiguration.Problem) {
        let fields = try TOMLFields<Key>(document: toml)
        self.init(urlKey: try fields.required(.urlKey), version: try fields.required(.version))
    }
}
