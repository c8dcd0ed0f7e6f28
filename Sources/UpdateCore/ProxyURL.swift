/// The URL of a proxy, such as `http://user:password@proxy.example:3128`. It prints without its user and password. Only
/// ``text``, and its encoded form for a worker's pipe, contain them.
public struct ProxyURL: Hashable, Sendable {
    /// For libcurl only.
    public let text: String

    /// Those of libcurl (CURLOPT_PROXY(3)).
    public static let schemes = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"]

    /// Why a text is not the URL of a proxy. It contains nothing of the text, because that may contain a password.
    public struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
        public let description: String
    }

    /// Requires a scheme and a host, and percent-encoding in the user and the password: a proxy whose URL can be read in two ways
    /// could be reached at another host, and its password could be taken for a part of the address.
    public init(_ text: String) throws(Problem) {
        guard text.utf8.count <= WebURL.maximumLength else { throw Problem(description: "it is too long") }
        if let hidden = text.hiddenCharacter { throw Problem(description: "it contains \(hidden)") }
        guard !text.contains(where: \.isWhitespace) else { throw Problem(description: "it contains a blank") }
        guard let (scheme, authority, rest) = Self.parts(of: text) else {
            throw Problem(description: "it does not begin with a scheme and ://")
        }
        guard Self.schemes.contains(scheme.lowercased()) else {
            throw Problem(description: "its scheme is not one of \(Self.schemes.joined(separator: ", "))")
        }
        guard rest.isEmpty || rest == "/" else {
            throw Problem(description: "it has a path, a query or a fragment; \(Self.encoding)")
        }
        let pieces = authority.split(separator: "@", omittingEmptySubsequences: false)
        guard pieces.count <= 2 else { throw Problem(description: "it has more than one @; \(Self.encoding)") }
        if pieces.count == 2 { try Self.check(userInfo: String(pieces[0])) }
        try Self.check(host: pieces.last ?? "")
        self.text = text
    }

    private init(unchecked text: String) { self.text = text }

    private static let encoding = "in a user or a password, @ is written %40, : %3A, / %2F, ? %3F, # %23 and % %25"

    /// Nil if there is no `://`. The rest begins at the first character that ends an authority (RFC 3986, section 3.2).
    private static func parts(of text: String) -> (scheme: Substring, authority: Substring, rest: Substring)? {
        guard let mark = text.firstRange(of: "://") else { return nil }
        let afterScheme = text[mark.upperBound...]
        let authority = afterScheme.prefix { !"/?#\\".contains($0) }
        return (text[..<mark.lowerBound], authority, afterScheme[authority.endIndex...])
    }

    private static func check(userInfo text: String) throws(Problem) {
        let bytes = Array(text.utf8)
        for (index, byte) in bytes.enumerated() where byte == UInt8(ascii: "%") {
            guard index + 2 < bytes.count, bytes[index + 1].isHexDigit, bytes[index + 2].isHexDigit else {
                throw Problem(description: "it has a % without two hex digits behind it; \(encoding)")
            }
        }
        if let hidden = text.percentDecoded.hiddenCharacter {
            throw Problem(description: "its user or its password contains \(hidden)")
        }
    }

    private static func check(host: Substring) throws(Problem) {
        let problem = Problem(description: "it has no host, or one with other characters than letters, digits, - and .")
        let name: Substring
        if host.hasPrefix("[") {
            // An IPv6 address, perhaps with a zone (RFC 6874).
            let end = host.firstIndex(of: "]") ?? host.startIndex
            let address = host[..<end].dropFirst()
            guard address.contains(":"),
                address.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || ":.%-".contains($0)) })
            else { throw problem }
            name = host[...end]
        } else {
            name = host.prefix { $0 != ":" }
            guard !name.isEmpty, name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-._~".contains($0)) })
            else { throw problem }
        }
        let port = host.dropFirst(name.count)
        if port.isEmpty { return }
        let digits = port.dropFirst()
        guard port.first == ":", digits.allSatisfy({ $0.isASCII && $0.isNumber }), let number = Int(digits),
            (1...65_535).contains(number)
        else { throw Problem(description: "its port is not a number from 1 to 65535") }
    }

    /// The URL for messages: with `***` instead of the user and the password.
    public var withoutUserInfo: String { text.withoutUserInfo }

    public var hasUserInfo: Bool { text != withoutUserInfo }

    /// See ``UserInfo/secrets``.
    var secrets: [String] {
        // The text may be an environment variable's, which is not checked, and needs no scheme.
        let afterScheme = text.firstRange(of: "://").map { text[$0.upperBound...] } ?? text[...]
        guard let at = afterScheme.lastIndex(of: "@") else { return [] }
        return UserInfo(afterScheme[..<at]).secrets
    }
}

extension ProxyURL: CustomStringConvertible, CustomReflectable {
    public var description: String { withoutUserInfo }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension ProxyURL: Codable {
    /// Takes any text: the worker of this version may work for an agent that did not check it. libcurl refuses what is no URL.
    public init(from decoder: any Decoder) throws {
        self.init(unchecked: try decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }

    /// A proxy from an environment variable, as libcurl takes it.
    init(environment text: String) { self.init(unchecked: text) }
}
