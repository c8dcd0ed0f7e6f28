import Host
import UpdateCore

extension Settings {
    /// Reads the keys from the configuration, from a file that it names, or from the files `accessKey` and `secretKey` in
    /// systemd's credentials directory (`LoadCredential=`, systemd.exec(5)).
    static func credentials(
        _ check: inout Check, root: String, _ environment: [String: String]
    ) -> Credentials {
        let handedOver = { (name: String) in Self.handedOver(name, root: root, environment) }
        return Credentials(
            accessKey: credential("accessKey", &check, handedOver("accessKey")) ?? "",
            secretKey: Secret(credential("secretKey", &check, handedOver("secretKey")) ?? ""))
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
        _ name: String, _ check: inout Check, _ handedOver: String?
    ) -> String? {
        let inline = check.merged.text("credentials.\(name)")
        let file = check.merged.text("credentials.\(name)File")
        if inline != nil, file != nil { check.reportBoth("credentials.\(name)File", "credentials.\(name)") }
        if let inline { return inline }
        if let file { return read(file, "credentials.\(name)File", &check) }
        if let handedOver { return read(handedOver, "credentials.\(name)", &check) }
        check.reportMissing(
            "credentials.\(name)",
            "missing; set it here, or put it into /etc/credstore/upgradelinkd.\(name), or set credentials.\(name)File",
            because: "credentials.\(name)File")
        return nil
    }

    private static func read(
        _ file: String, _ key: String, _ check: inout Check
    ) -> String? {
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try Files.read(file, limit: 4096)
        } catch {
            check.report(key, "\(error)")
            return nil
        }
        let remedy = "write the key alone on one line"
        guard let content = String(validating: bytes, as: UTF8.self) else {
            check.report(key, "found \(file), which is not UTF-8 text; \(remedy)")
            return nil
        }
        let lines = content.withoutByteOrderMark.split(whereSeparator: \.isNewline)
            .map { String($0).unquoted.filter { $0 != " " && $0 != "\t" } }.filter { !$0.isEmpty }
        guard let text = lines.first else {
            check.report(key, "\(file) is empty, allowed is one line with the key")
            return nil
        }
        guard lines.count == 1 else {
            check.report(key, "found a line break within the key in \(file); \(remedy)")
            return nil
        }
        if let hidden = text.hiddenCharacter {
            check.report(key, "found \(hidden) in the key in \(file); \(remedy)")
            return nil
        }
        return text
    }
}
