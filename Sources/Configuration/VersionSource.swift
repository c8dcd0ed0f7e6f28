import Host
public import UpdateCore

extension VersionSource {
    /// Reads the installed version.
    public func read() -> InstalledVersion {
        switch self {
        case .fixed(let code, let name):
            return .known(versionCode: code, versionName: name)
        case .file(let path, let codeKey, let nameKey):
            let bytes: [UInt8]
            do throws(SystemError) {
                bytes = try Files.read(path, limit: 65_536)
            } catch {
                return .unknown("\(error) (device.versionFile)")
            }
            let fields = assignments(String(decoding: bytes, as: UTF8.self))
            guard let text = fields[codeKey] else {
                return .unknown("\(path) has no line \(codeKey)=… (device.versionCodeKey)")
            }
            guard let code = Int(text), code > 0 else {
                return .unknown("\(codeKey) in \(path) is \"\(text.sanitized(limit: 40))\", not a positive number")
            }
            let name = fields[nameKey ?? "VERSION"] ?? fields["VERSION_ID"]
            return .known(versionCode: code, versionName: name?.sanitized(limit: 128))
        }
    }

    /// Reads `KEY=value` lines as in os-release(5). Quotes around a value are removed; `#` begins a comment line.
    private func assignments(_ text: String) -> [String: String] {
        var fields: [String: String] = [:]
        for line in text.split(whereSeparator: \.isNewline) where !line.hasPrefix("#") {
            guard let equals = line.firstIndex(of: "=") else { continue }
            var value = line[line.index(after: equals)...]
            if let quote = value.first, quote == "\"" || quote == "'", value.count > 1, value.last == quote {
                value = value.dropFirst().dropLast()
            }
            fields[line[..<equals].filter { $0 != " " }] = String(value)
        }
        return fields
    }
}
