import Host
import UpdateCore

/// The merged files of the vendor and the administrator: the later file wins, key by key.
struct MergedConfiguration: Sendable {
    struct Entry: Sendable {
        var value: Value
        var file: String
        /// From 1.
        var line: Int?

        /// "FILE:LINE"
        var place: String { line.map { "\(file):\($0)" } ?? file }
    }

    private(set) var entries: [String: Entry] = [:]
    /// The administrator's file. An error that no file causes names this one.
    let mainFile: String
    /// Settings that are allowed but unwise, one line each.
    private(set) var warnings: [String] = []
    /// What is wrong in the files, each checked alone.
    private(set) var errors: [ConfigurationError] = []
    /// Options that a file sets, or means to set, in a wrong way.
    private(set) var attempted: Set<String> = []
    /// A file cannot be read to its end: it may set any option.
    private(set) var isIncomplete = false

    /// - Parameter root: the directory to use as `/`, so that a configuration can be tested elsewhere.
    init(root: String) {
        let files = Self.files(root)
        mainFile = files.main
        errors = files.errors
        isIncomplete = !errors.isEmpty
        for file in files.all {
            if let fragment = Fragment(file: file) { merge(fragment) }
        }
    }

    /// - Returns: every file that may exist, in the order in which they are merged, the administrator's, and errors about directories.
    static func files(_ root: String) -> (all: [String], main: String, errors: [ConfigurationError]) {
        let base = root == "/" ? "" : root
        let vendor = "\(base)/usr/lib/upgradelinkd/upgradelinkd.toml"
        let administrator = "\(base)/etc/upgradelinkd/upgradelinkd.toml"
        var files = [vendor, administrator]
        // The drop-ins of both directories are sorted by name. One in /etc replaces the vendor's of the same name, as in systemd.
        var dropIns: [String: String] = [:]
        var errors: [ConfigurationError] = []
        for directory in ["\(vendor).d", "\(administrator).d"] {
            let names: [String]
            do throws(SystemError) {
                names = try Files.list(directory)
            } catch {
                if error.isNotFound {
                    // Nothing is there, or a link that leads nowhere, as its own name or as that of the directory above it.
                    for link in [Files.directory(of: directory), directory]
                    where Files.isLink(link) && !Files.exists(link) {
                        errors.append(.missingTarget(of: link))
                    }
                    continue
                }
                errors.append(
                    ConfigurationError(file: directory, key: "", problem: "it cannot be read: \(error.reason)"))
                continue
            }
            for name in names where name.hasSuffix(".toml") && !name.hasPrefix(".") {
                dropIns[name] = "\(directory)/\(name)"
            }
        }
        files += dropIns.sorted { $0.key < $1.key }.map(\.value)
        return (files, administrator, errors)
    }

    init(_ fragments: [Fragment], mainFile: String) {
        self.mainFile = mainFile
        fragments.forEach { merge($0) }
    }

    private mutating func merge(_ fragment: Fragment) {
        for (key, value) in fragment.values {
            let isCumulative = Schema.option(key)?.isCumulative == true
            entries[key] = Entry(
                value: isCumulative ? value.added(to: entries[key]?.value) : value, file: fragment.file,
                line: fragment.lines[key])
        }
        errors += fragment.errors
        attempted.formUnion(fragment.attempted)
        isIncomplete = isIncomplete || fragment.isIncomplete
        guard fragment.isReadableByOthers else { return }
        for (key, value) in fragment.values.sorted(by: { $0.key < $1.key })
        where Schema.option(key)?.isSecret(value) == true {
            let remedy =
                key == "credentials.secretKey"
                ? "move the key to /etc/credstore/upgradelinkd.secretKey or to credentials.secretKeyFile"
                : "move this option to a drop-in that they cannot read"
            warnings.append(
                "\(fragment.file): \(key): others can read this file, which contains a secret; chmod o-r it, or \(remedy)"
            )
        }
    }

    /// Warnings about files that contain a secret only, and that others can read.
    var warningsAboutFiles: [String] {
        ["credentials.secretKeyFile", "server.clientKey"].compactMap { key in
            guard let path = text(key), Files.isReadableByOthers(path) else { return nil }
            return "\(path): \(key): others can read this file, which contains a secret; chmod o-r it"
        }
    }

    /// The configured value, else the default.
    func value(_ key: String) -> Value? { entries[key]?.value ?? Schema.option(key)?.standard }

    func text(_ key: String) -> String? {
        if case .string(let text)? = value(key) { text } else { nil }
    }

    func integer(_ key: String) -> Int? {
        if case .integer(let number)? = value(key) { Int(exactly: number) } else { nil }
    }

    func flag(_ key: String) -> Bool? {
        if case .bool(let flag)? = value(key) { flag } else { nil }
    }

    func seconds(_ key: String) -> Double? { value(key).flatMap(Option.seconds) }

    func bytes(_ key: String) -> ByteCount? { value(key).flatMap(Option.bytes) }

    func texts(_ key: String) -> [String]? {
        guard case .list(let items)? = value(key) else { return nil }
        return items.compactMap { if case .string(let text) = $0 { text } else { nil } }
    }

    func table(_ key: String) -> [String: Value] {
        if case .table(let fields)? = value(key) { fields } else { [:] }
    }

    /// `install.healthSettle`. If only the time limit is set, an earlier default must not exceed it.
    var healthSettle: Double {
        let settle = require(seconds: "install.healthSettle")
        guard entries["install.healthSettle"] == nil else { return settle }
        return min(settle, require(seconds: "install.healthTimeout") / 2)
    }

    // For options with a default.

    func require(text key: String) -> String { text(key) ?? "" }
    func require(seconds key: String) -> Double { seconds(key) ?? 0 }
    func require(bytes key: String) -> ByteCount { bytes(key) ?? 0 }
    func require(integer key: String) -> Int { integer(key) ?? 0 }
}
