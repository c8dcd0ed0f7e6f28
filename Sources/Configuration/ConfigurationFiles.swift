import Host
import UpdateCore

/// The files that make up the configuration, and those that contain the credentials and the public keys. A part that cannot be
/// read is missing here: ``Settings`` reports it.
public struct ConfigurationFiles: Sendable {
    /// A trusted public key of a publisher.
    public struct Key: Sendable {
        /// In base64, as minisign writes it.
        public var text: String
        /// The file of the configuration or the `*.pub` file that contains it.
        public var file: String
    }

    /// The existing files and directories of the configuration, `*.pub` files included.
    public let configuration: [String]
    /// The files that `credentials.accessKeyFile` and `credentials.secretKeyFile` name.
    public let credentials: [(option: String, path: String)]
    public let keys: [Key]

    /// - Parameter root: the directory to use as `/`.
    public init(root: String) {
        let merged = MergedConfiguration(root: root)
        let directory = merged.text("verification.keysDirectory") ?? VerificationKeys.defaultDirectory
        let names = (try? Files.list(directory)) ?? []
        let keyFiles = names.filter { $0.hasSuffix(".pub") }.map { "\(directory)/\($0)" }
        let files = MergedConfiguration.files(root).all
        let directories = files.filter { $0.hasSuffix("/upgradelinkd.toml") }.map { "\($0).d" } + [directory]
        configuration = (files + directories + keyFiles).filter(Files.exists)
        credentials = ["credentials.accessKeyFile", "credentials.secretKeyFile"].compactMap { option in
            merged.text(option).map { (option, $0) }
        }
        let file = merged.entries["verification.keys"]?.file ?? ""
        keys =
            (merged.texts("verification.keys") ?? []).map { Key(text: $0.unquoted, file: file) }
            + keyFiles.compactMap { path in Self.key(inFile: path).map { Key(text: $0, file: path) } }
    }

    /// The last line of a `*.pub` file: the first one is a comment (minisign(1)).
    private static func key(inFile path: String) -> String? {
        guard let bytes = try? Files.read(path, limit: 4096) else { return nil }
        let lines = String(decoding: bytes, as: UTF8.self).withoutByteOrderMark.split(whereSeparator: \.isNewline)
        return lines.map { String($0).unquoted }.last { !$0.isEmpty }
    }
}
