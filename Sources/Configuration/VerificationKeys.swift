import FoundationEssentials
import Host
import UpdateCore

/// The public keys of `verification.keys` and of the `*.pub` files in `verification.keysDirectory`.
enum VerificationKeys {
    static let defaultDirectory = "/etc/upgradelinkd/keys.d"

    static func collect(_ check: inout Check) -> [String] {
        let merged = check.merged
        var keys = (merged.texts("verification.keys") ?? []).map(\.unquoted)
        for key in keys where !isKey(key) {
            check.report("verification.keys", "found \"\(key.prefix(80))\", allowed are minisign public keys")
        }
        let directory = merged.text("verification.keysDirectory") ?? defaultDirectory
        let names: [String]
        do throws(SystemError) {
            names = try Files.list(directory)
        } catch {
            if !error.isNotFound || merged.text("verification.keysDirectory") != nil {
                check.report("verification.keysDirectory", "\(error)")
            }
            return keys
        }
        for name in names where name.hasSuffix(".pub") {
            let file = "\(directory)/\(name)"
            do throws(SystemError) {
                let text = String(decoding: try Files.read(file, limit: 4096), as: UTF8.self)
                let lines = text.withoutByteOrderMark.split(whereSeparator: \.isNewline).map { String($0).unquoted }
                let key = lines.last { !$0.isEmpty } ?? ""
                if isKey(key) {
                    keys.append(key)
                } else {
                    check.add(ConfigurationError(file: file, key: "", problem: "it is not a minisign public key"))
                }
            } catch {
                check.add(ConfigurationError(file: file, key: "", problem: "\(error)"))
            }
        }
        return keys
    }

    /// A minisign public key is "Ed", a key id of eight bytes, and 32 bytes of key, in base64 (minisign(1)).
    private static func isKey(_ key: String) -> Bool {
        guard let bytes = Data(base64Encoded: key) else { return false }
        return bytes.count == 42 && bytes.starts(with: Array("Ed".utf8))
    }
}
