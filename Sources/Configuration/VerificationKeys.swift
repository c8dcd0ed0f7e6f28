import FoundationEssentials
import Host
import UpdateCore

/// The public keys of `verification.keys` and of the `*.pub` files in `verification.keysDirectory`.
enum VerificationKeys {
    static let defaultDirectory = "/etc/upgradelinkd/keys.d"

    static func collect(_ merged: MergedConfiguration) throws(ConfigurationError) -> [String] {
        var keys = (merged.texts("verification.keys") ?? []).map(\.unquoted)
        for key in keys {
            try require(
                key, merged.error("verification.keys", "found \"\(key.prefix(80))\", allowed are minisign public keys"))
        }
        let directory = merged.text("verification.keysDirectory") ?? defaultDirectory
        let names: [String]
        do throws(SystemError) {
            names = try Files.list(directory)
        } catch {
            if error.isNotFound, merged.text("verification.keysDirectory") == nil { return keys }
            throw merged.error("verification.keysDirectory", "\(error)")
        }
        for name in names where name.hasSuffix(".pub") {
            let file = "\(directory)/\(name)"
            do throws(SystemError) {
                let text = String(decoding: try Files.read(file, limit: 4096), as: UTF8.self)
                let lines = text.withoutByteOrderMark.split(whereSeparator: \.isNewline).map { String($0).unquoted }
                keys.append(lines.last { !$0.isEmpty } ?? "")
            } catch {
                throw ConfigurationError(file: file, key: "", problem: "\(error)")
            }
            try require(
                keys[keys.count - 1],
                ConfigurationError(file: file, key: "", problem: "it is not a minisign public key"))
        }
        return keys
    }

    /// A minisign public key is "Ed", a key id of eight bytes, and 32 bytes of key, in base64 (minisign(1)).
    private static func require(_ key: String, _ error: ConfigurationError) throws(ConfigurationError) {
        guard let bytes = Data(base64Encoded: key), bytes.count == 42, bytes.starts(with: Array("Ed".utf8)) else {
            throw error
        }
    }
}
