import Host
import UpdateCore

extension Settings {
    /// Reads the keys from the configuration, from a file that it names, or from the files `accessKey` and `secretKey` in
    /// systemd's credentials directory (`LoadCredential=`, systemd.exec(5)).
    static func credentials(
        _ merged: MergedConfiguration, root: String, _ environment: [String: String]
    ) throws(ConfigurationError) -> Credentials {
        let handedOver = { (name: String) in Self.handedOver(name, root: root, environment) }
        return Credentials(
            accessKey: try credential("accessKey", merged, handedOver("accessKey")),
            secretKey: Secret(try credential("secretKey", merged, handedOver("secretKey"))))
    }

    /// The file in which systemd passes the credential. A program that the administrator starts gets none: it reads the file of
    /// the running service, or the file that the service will get.
    private static func handedOver(_ name: String, root: String, _ environment: [String: String]) -> String? {
        var candidates = ["\(environment["CREDENTIALS_DIRECTORY"] ?? "/nonexistent")/\(name)"]
        if root == "/" {
            candidates.append("/run/credentials/upgradelinkd.service/\(name)")
            for directory in ["/etc/credstore", "/run/credstore", "/usr/lib/credstore"] {
                candidates.append("\(directory)/upgradelinkd.\(name)")
            }
        }
        return candidates.first(where: Files.exists)
    }

    private static func credential(
        _ name: String, _ merged: MergedConfiguration, _ handedOver: String?
    ) throws(ConfigurationError) -> String {
        let inline = merged.text("credentials.\(name)")
        let file = merged.text("credentials.\(name)File")
        if inline != nil, file != nil {
            throw merged.error(
                "credentials.\(name)File", "found together with credentials.\(name), allowed is one of the two")
        }
        if let inline { return inline }
        if let file { return try read(file, "credentials.\(name)File", merged) }
        if let handedOver { return try read(handedOver, "credentials.\(name)", merged) }
        throw merged.error(
            "credentials.\(name)",
            "missing; set it here, or put it into /etc/credstore/upgradelinkd.\(name), or set credentials.\(name)File")
    }

    private static func read(
        _ file: String, _ key: String, _ merged: MergedConfiguration
    ) throws(ConfigurationError) -> String {
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try Files.read(file, limit: 4096)
        } catch {
            throw merged.error(key, "\(error)")
        }
        let remedy = "write the key alone on one line"
        guard let content = String(validating: bytes, as: UTF8.self) else {
            throw merged.error(key, "found \(file), which is not UTF-8 text; \(remedy)")
        }
        let lines = content.withoutByteOrderMark.split(whereSeparator: \.isNewline)
            .map { String($0).unquoted.filter { $0 != " " && $0 != "\t" } }.filter { !$0.isEmpty }
        guard let text = lines.first else {
            throw merged.error(key, "\(file) is empty, allowed is one line with the key")
        }
        guard lines.count == 1 else {
            throw merged.error(key, "found a line break within the key in \(file); \(remedy)")
        }
        if let hidden = text.hiddenCharacter {
            throw merged.error(key, "found \(hidden) in the key in \(file); \(remedy)")
        }
        return text
    }
}
