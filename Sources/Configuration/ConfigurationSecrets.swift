public import Host
import TOML
import UpdateCore

/// The secrets in the files of the configuration, also if the configuration is wrong: a report must not contain them.
public struct ConfigurationSecrets: Sendable {
    /// Keys, salts, and values whose name sounds like that of a secret, in each of the forms in which they are shown.
    public private(set) var texts: Set<String> = []
    /// Texts that contain a URL with a user or a password.
    public private(set) var urls: Set<String> = []
    /// The files that cannot be read, for another reason than that they do not exist. They may contain more.
    public private(set) var unread: [SystemError] = []

    /// A shorter value is an ordinary word too often. It is masked only where the configuration is shown.
    private static let shortestSuspect = 6

    /// - Parameters:
    ///   - root: the directory to use as `/`.
    ///   - environment: with `CREDENTIALS_DIRECTORY`, if systemd sets it.
    public init(root: String, environment: [String: String]) {
        let files = MergedConfiguration.files(root)
        for directory in files.all.filter({ $0.hasSuffix("/upgradelinkd.toml") }).map({ "\($0).d" }) {
            do throws(SystemError) { _ = try Files.list(directory) } catch { note(error) }
        }
        var credentialFiles = Self.handedOver(root: root, environment)
        for file in files.all {
            guard let bytes = read(file, limit: Fragment.maximumBytes) else { continue }
            if let table = try? TOMLTable(parsing: bytes) {
                collect(table, &credentialFiles)
            } else {
                collect(lines: String(decoding: bytes, as: UTF8.self), &credentialFiles)
            }
        }
        for file in Set(credentialFiles) {
            guard let bytes = read(file, limit: Fragment.maximumBytes) else { continue }
            for line in String(decoding: bytes, as: UTF8.self).withoutByteOrderMark.split(whereSeparator: \.isNewline) {
                add(String(line).unquoted)
                add(String(line).unquoted.filter { $0 != " " && $0 != "\t" })
            }
        }
    }

    /// Where systemd takes the keys from, and where it passes them: see ``Settings/credentials(_:root:_:)``.
    private static func handedOver(root: String, _ environment: [String: String]) -> [String] {
        ["accessKey", "secretKey"].flatMap { name in
            let own = environment["CREDENTIALS_DIRECTORY"].map { ["\($0)/\(name)"] } ?? []
            guard root == "/" else { return own }
            return own + ["/run/credentials/upgradelinkd.service/\(name)"]
                + ["/etc/credstore", "/run/credstore", "/usr/lib/credstore"].map { "\($0)/upgradelinkd.\(name)" }
        }
    }

    private mutating func read(_ file: String, limit: Int) -> [UInt8]? {
        do throws(SystemError) {
            return try Files.read(file, limit: limit)
        } catch {
            note(error)
            return nil
        }
    }

    private mutating func note(_ error: SystemError) {
        if !error.isNotFound { unread.append(error) }
    }

    private mutating func add(_ text: String) {
        guard !text.isEmpty else { return }
        texts.insert(text)
        let value = Value.string(text)
        // As they stand between the quotation marks.
        for quoted in [value.toml, value.json] { texts.insert(String(quoted.dropFirst().dropLast())) }
        texts.insert(text.sanitized(limit: text.count))
    }

    // MARK: TOML

    private mutating func collect(_ table: TOMLTable, _ credentialFiles: inout [String]) {
        for (name, entry) in table.entries {
            let value = Value(entry.value)
            collectURLs(.table([name: value]))
            guard case .table(let fields) = value else {
                // A key that lost its section.
                if isSecret(name, inCredentials: false) { collectAll(value) }
                continue
            }
            for (option, value) in fields {
                let key = "\(name).\(option)"
                if key.hasSuffix("KeyFile"), name == "credentials", case .string(let path) = value {
                    credentialFiles.append(path)
                } else if Schema.option(key)?.isSecret ?? isSecret(option, inCredentials: name == "credentials") {
                    collectAll(value)
                } else if key == "credentials.accessKey" {
                    collectAll(value)
                } else {
                    value.suspects.forEach { collectSuspects($0) }
                }
            }
        }
    }

    /// Whether an option that does not exist is meant to be a key or a password.
    private func isSecret(_ name: String, inCredentials: Bool) -> Bool {
        inCredentials || name.soundsSecret && !Self.harmless.contains(name.lowercased())
    }

    /// The names of the options that are no secrets, although some of them sound like it.
    private static let harmless = Set(
        Schema.options.filter { !$0.isSecret && $0.key != "credentials.accessKey" }.map { $0.name.lowercased() })

    private static let secretNames = Set(
        Schema.options.filter { $0.isSecret || $0.key == "credentials.accessKey" }.map(\.name))

    private mutating func collectAll(_ value: Value) {
        switch value {
        case .string(let text): add(text)
        case .integer, .number, .moment: add(value.toml)
        case .bool: break
        case .list(let items): items.forEach { collectAll($0) }
        case .table(let fields): fields.values.forEach { collectAll($0) }
        }
    }

    private mutating func collectSuspects(_ value: Value) {
        switch value {
        case .string(let text): if text.count >= Self.shortestSuspect { add(text) }
        case .integer, .number, .moment: if value.toml.count >= Self.shortestSuspect { add(value.toml) }
        case .bool: break
        case .list(let items): items.forEach { collectSuspects($0) }
        case .table(let fields): fields.values.forEach { collectSuspects($0) }
        }
    }

    private mutating func collectURLs(_ value: Value) {
        switch value {
        case .string(let text): if text.contains("://"), text.contains("@") { urls.insert(text) }
        case .list(let items): items.forEach { collectURLs($0) }
        case .table(let fields):
            for (key, value) in fields {
                collectURLs(.string(key))
                collectURLs(value)
            }
        default: break
        }
    }

    // MARK: other files

    /// A file that is not TOML: every text in a line with a name that sounds like a secret may be one.
    private mutating func collect(lines text: String, _ credentialFiles: inout [String]) {
        var isInCredentials = false
        for line in text.split(whereSeparator: \.isNewline) {
            let start = line.drop { $0 == " " || $0 == "\t" }
            if start.hasPrefix("[") { isInCredentials = start.contains("credential") }
            for part in line.split(whereSeparator: { " \t\"'".contains($0) }) { collectURLs(.string(String(part))) }
            // The last word in front of each equals sign.
            let names = line.split(separator: "=", omittingEmptySubsequences: false).dropLast().compactMap { part in
                part.split { !($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") }.last.map(String.init)
            }
            guard names.contains(where: { isSecret($0, inCredentials: isInCredentials) }),
                let equals = line.firstIndex(of: "=")
            else { continue }
            let value = line[line.index(after: equals)...]
            if line[..<equals].contains("KeyFile") || value.contains("KeyFile") {
                credentialFiles += quotedTexts(value).filter { $0.hasPrefix("/") }
            }
            // Also without quotation marks, or with one of them.
            let found =
                [
                    String(value), String(value.prefix { $0 != "#" }), value.filter { $0 != "\"" && $0 != "'" },
                ].map(\.unquoted) + quotedTexts(value)
            let isCertain = isInCredentials || names.contains { Self.secretNames.contains($0) }
            for text in found where isCertain || text.count >= Self.shortestSuspect { add(text) }
        }
    }

    /// The texts between two quotation marks of the same kind.
    private func quotedTexts(_ line: Substring) -> [String] {
        ["\"", "'"].flatMap { mark in
            line.split(separator: mark, omittingEmptySubsequences: false).enumerated()
                .filter { $0.offset % 2 == 1 }.map { String($0.element) }
        }
    }
}
