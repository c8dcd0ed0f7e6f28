/// An absolute http or https URL with a host. It is parsed only as far as the agent needs; libcurl parses the rest.
public struct WebURL: Hashable, Sendable {
    public let text: String
    public let isSecure: Bool
    /// A name or an address, without the brackets of an IPv6 address.
    public let host: String
    /// The path with its leading slash, without query and fragment; `/` if the URL has no path.
    public let path: String

    /// Bytes. Presigned addresses have several thousand.
    public static let maximumLength = 16_384

    /// Nil if the scheme is another one, the host is missing, the port is wrong, there are blanks or control characters, or the
    /// text is too long.
    public init?(_ text: String) {
        guard text.utf8.count <= Self.maximumLength, text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            return nil
        }
        guard let colon = text.firstIndex(of: ":") else { return nil }
        switch text[..<colon].lowercased() {
        case "https": isSecure = true
        case "http": isSecure = false
        default: return nil
        }
        let afterScheme = text[text.index(after: colon)...]
        guard afterScheme.hasPrefix("//") else { return nil }
        let rest = afterScheme.dropFirst(2)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard let host = try? Self.host(of: authority) else { return nil }
        let path = rest.dropFirst(authority.count).prefix { $0 != "?" && $0 != "#" }
        self.text = text
        self.host = host
        self.path = path.isEmpty ? "/" : String(path)
    }

    /// The host of an authority (RFC 3986, section 3.2), whose port is checked. As for libcurl, the port may be empty.
    private static func host(of authority: Substring) throws(Problem) -> String {
        let hostAndPort = authority.split(separator: "@", omittingEmptySubsequences: false).last ?? ""
        let host: Substring
        let rest: Substring
        if hostAndPort.hasPrefix("[") {
            guard let end = hostAndPort.firstIndex(of: "]") else {
                throw Problem(description: "the ] behind its IPv6 address is missing")
            }
            host = hostAndPort[..<end].dropFirst()
            rest = hostAndPort[end...].dropFirst()
            // An address, perhaps with a zone (RFC 6874).
            guard host.contains(":"),
                host.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || ":.%-_~".contains($0)) })
            else { throw Problem(description: "it has no IPv6 address between [ and ]") }
        } else {
            host = hostAndPort.prefix { $0 != ":" }
            rest = hostAndPort[host.endIndex...]
        }
        guard !host.isEmpty else { throw Problem(description: "it is not an http or https URL: it has no host") }
        let port = rest.dropFirst()
        guard rest.isEmpty || rest.first == ":" else {
            throw Problem(description: "there is something else than a port behind its host")
        }
        guard
            port.isEmpty
                || port.utf8.allSatisfy({ (0x30...0x39).contains($0) }) && (1...65_535).contains(Int(port) ?? 0)
        else { throw Problem(description: "its port is not a number from 1 to 65535") }
        return String(host)
    }
}

extension WebURL {
    /// The user and the password; nil if there are none.
    var userInfo: UserInfo? { userInfoText.map { UserInfo($0) } }

    public var hasUserInfo: Bool { userInfoText != nil }

    private var afterScheme: Substring { text.drop { $0 != "/" }.dropFirst(2) }

    private var userInfoText: Substring? {
        let authority = afterScheme.prefix { !"/?#".contains($0) }
        return authority.lastIndex(of: "@").map { authority[..<$0] }
    }

    /// The URL without its user and password.
    public var withoutUserInfo: String {
        guard let userInfo = userInfoText else { return text }
        return String(text[..<userInfo.startIndex] + text[userInfo.endIndex...].dropFirst())
    }

    /// The URL for messages, at most 200 characters. A query may contain a token, as that of a presigned address does.
    public var shown: String {
        let start = text[..<afterScheme.startIndex]
        let place = afterScheme.dropFirst(userInfoText.map { $0.count + 1 } ?? 0)
        let path = place.prefix { $0 != "?" && $0 != "#" }
        let query = path.endIndex < place.endIndex && place[path.endIndex] == "?" ? "?…" : ""
        return "\(start)\(hasUserInfo ? "***@" : "")\(path)\(query)".sanitized(limit: 200)
    }
}

extension WebURL {
    /// Why a text cannot be repaired to a URL.
    public struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
        public let description: String
    }

    /// Reads a URL that a person may have typed: removes blanks and line breaks around it, and percent-encodes the characters
    /// that a URL cannot have (RFC 3986, section 2.1). Where more than one URL could be meant, it throws.
    public init(repairing text: String) throws(Problem) {
        let blanks: Set<Unicode.Scalar> = [" ", "\t", "\n", "\r", "\u{A0}", "\u{FEFF}"]
        var scalars = text.unicodeScalars[...]
        while let first = scalars.first, blanks.contains(first) { scalars.removeFirst() }
        while let last = scalars.last, blanks.contains(last) { scalars.removeLast() }
        let trimmed = String(scalars)
        if trimmed.isEmpty { throw Problem(description: "it is empty") }
        guard trimmed.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw Problem(description: "it contains a line break or another control character")
        }
        let lower = trimmed.prefix(8).lowercased()
        guard let scheme = ["https://", "http://"].first(where: lower.hasPrefix) else {
            throw Problem(description: "it does not begin with http:// or https://")
        }
        let authority = trimmed.dropFirst(scheme.count).prefix { !"/?#".contains($0) }
        guard !authority.isEmpty, !authority.contains(" ") else {
            throw Problem(description: "it has no host, or a blank in it")
        }
        guard authority.utf8.allSatisfy({ $0 < 0x80 }) else {
            throw Problem(description: "its host is not ASCII: write it in the form xn--…")
        }
        let rest = trimmed.dropFirst(scheme.count + authority.count)
        // Without a path, a suffix would belong to the host.
        let path = rest.hasPrefix("/") ? "" : "/"
        let repaired = scheme + authority + path + Self.encode(Array(rest.utf8))
        guard repaired.utf8.count <= Self.maximumLength else {
            throw Problem(
                description: "it has \(repaired.utf8.count) bytes, at most \(Self.maximumLength) are supported")
        }
        guard let url = WebURL(repaired) else {
            _ = try Self.host(of: authority)
            throw Problem(description: "it is not an http or https URL")
        }
        self = url
    }

    private static func encode(_ bytes: [UInt8]) -> String {
        let forbidden = Set("\"<>\\^`{|} ".utf8)
        var text = ""
        for (index, byte) in bytes.enumerated() {
            let isEscape =
                byte == UInt8(ascii: "%") && index + 2 < bytes.count && bytes[index + 1].isHexDigit
                && bytes[index + 2].isHexDigit
            let mustChange = byte <= 0x20 || byte >= 0x7F || forbidden.contains(byte)
            text +=
                mustChange || byte == UInt8(ascii: "%") && !isEscape ? byte.percentEncoded : String(UnicodeScalar(byte))
        }
        return text
    }

    /// The URL without its fragment, in front of and behind the first question mark.
    var withoutFragment: (base: String, query: String?) {
        let whole = text.prefix { $0 != "#" }
        let base = whole.prefix { $0 != "?" }
        return (String(base), base.count == whole.count ? nil : String(whole.dropFirst(base.count + 1)))
    }
}

extension String {
    /// This text as a part of a URL's path or query: everything except letters, digits and `-._~` is percent-encoded
    /// (RFC 3986, section 2.3).
    var percentEncoded: String {
        utf8.map { byte in
            let scalar = UnicodeScalar(byte)
            let isUnreserved =
                byte < 0x80
                && (scalar.properties.isAlphabetic || (0x30...0x39).contains(byte) || "-._~".utf8.contains(byte))
            return isUnreserved ? String(scalar) : byte.percentEncoded
        }.joined()
    }
}

extension UInt8 {
    var isHexDigit: Bool { Character(UnicodeScalar(self)).isHexDigit }

    fileprivate var percentEncoded: String {
        let digits = String(self, radix: 16, uppercase: true)
        return "%" + (digits.count < 2 ? "0" : "") + digits
    }
}
