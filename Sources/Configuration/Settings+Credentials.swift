import Host
import UpdateCore

extension Settings {
    /// From the configuration itself, a file it names, or systemd's credentials folder: files named `accessKey` and
    /// `secretKey` there (`LoadCredential=`, systemd.exec(5)).
    static func credentials(
        _ merged: MergedConfiguration, _ environment: [String: String]
    ) throws(ConfigurationError) -> Credentials {
        Credentials(
            accessKey: try credential("accessKey", merged, environment),
            secretKey: Secret(try credential("secretKey", merged, environment)))
    }

    private static func credential(
        _ name: String, _ merged: MergedConfiguration, _ environment: [String: String]
    ) throws(ConfigurationError) -> String {
        let inline = merged.text("credentials.\(name)")
        let file = merged.text("credentials.\(name)File")
        if inline != nil, file != nil {
            throw merged.error("credentials.\(name)File", "found beside credentials.\(name), allowed is one of the two")
        }
        if let inline { return inline }
        if let file { return try read(file, "credentials.\(name)File", merged) }
        if let folder = environment["CREDENTIALS_DIRECTORY"], Files.exists("\(folder)/\(name)") {
            return try read("\(folder)/\(name)", "credentials.\(name)", merged)
        }
        throw merged.error(
            "credentials.\(name)",
            "missing; set it here, or credentials.\(name)File, or LoadCredential=\(name): in the unit")
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
        let text =
            String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).first
            .map { String($0).filter { $0 != " " && $0 != "\t" } } ?? ""
        guard !text.isEmpty else { throw merged.error(key, "\(file) is empty, allowed is one line with the key") }
        return text
    }
}
