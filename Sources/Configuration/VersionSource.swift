import Host
public import UpdateCore

extension VersionSource {
    /// Reads the installed version.
    public func read() -> InstalledVersion {
        switch self {
        case .fixed(let code, let name):
            return .known(versionCode: code, versionName: name?.sanitized(limit: 128))
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
            guard let code = Int(text.filter { $0 != " " && $0 != "\t" }), code > 0 else {
                return .unknown("\(codeKey) in \(path) is \"\(text.sanitized(limit: 40))\", not a positive number")
            }
            let name = fields[nameKey ?? "VERSION"] ?? fields["VERSION_ID"]
            return .known(versionCode: code, versionName: name?.sanitized(limit: 128))
        }
    }

    /// Reads `KEY=value` lines as in os-release(5), and what people write into such files by hand: `export`, blanks around the
    /// equals sign, comments after a value, CRLF. The last line with a key counts, as in a shell.
    private func assignments(_ text: String) -> [String: String] {
        var fields: [String: String] = [:]
        for line in text.withoutByteOrderMark.split(whereSeparator: \.isNewline) {
            let words = line.drop(while: \.isBlank)
            guard !words.hasPrefix("#"), let equals = words.firstIndex(of: "=") else { continue }
            var key = words[..<equals]
            if key.hasPrefix("export"), key.dropFirst(6).first?.isBlank == true { key = key.dropFirst(6) }
            fields[key.filter { !$0.isBlank }] = value(words[words.index(after: equals)...].drop(while: \.isBlank))
        }
        return fields
    }

    /// The value without its quotes and without the comment behind it.
    private func value(_ text: Substring) -> String {
        guard let quote = text.first, quote == "\"" || quote == "'" else {
            let beforeComment = text.indices.first { index in
                text[index] == "#" && (index == text.startIndex || text[text.index(before: index)].isBlank)
            }
            var value = text[..<(beforeComment ?? text.endIndex)]
            while value.last?.isBlank == true { value.removeLast() }
            return String(value)
        }
        var value = ""
        var isEscaped = false
        for character in text.dropFirst() {
            if isEscaped {
                isEscaped = false
            } else if character == "\\", quote == "\"" {
                isEscaped = true
                continue
            } else if character == quote {
                break
            }
            value.append(character)
        }
        return value
    }
}

extension Character {
    fileprivate var isBlank: Bool { self == " " || self == "\t" }
}
