import Glibc

/// The address and the TCP port of a server: `127.0.0.1:8480`, `[::]:8480`, `localhost:0`, `0.0.0.0`, `8481`.
public struct ListenAddress: Hashable, Sendable, CustomStringConvertible {
    public enum Family: Sendable { case ip4, ip6 }

    /// Without brackets.
    public let host: String
    /// 0 lets the system choose one.
    public var port: UInt16
    public let family: Family

    /// The loopback address of this machine.
    public static func loopback(port: UInt16) -> ListenAddress {
        ListenAddress(host: "127.0.0.1", port: port, family: .ip4)
    }

    private init(host: String, port: UInt16, family: Family) {
        (self.host, self.port, self.family) = (host, port, family)
    }

    /// The port of a server that no option and no configuration gives one.
    public static let standardPort: UInt16 = 8480

    /// Nil if the text is not `ADDRESS`, `ADDRESS:PORT`, `:PORT` or `PORT`. An address is numeric, or `localhost`; an IPv6
    /// address is in brackets (RFC 3986, section 3.2.2), because `::1:80` is an address too. Only `::` and `::1` need none.
    ///
    /// - Parameter port: the port if the text has none. Without an address, it is the loopback address.
    public init?(_ text: String, port: UInt16 = standardPort) {
        if text == "::" || text == "::1" {
            self.init(host: text, port: port, family: .ip6)
            return
        }
        guard !text.isEmpty else { return nil }
        if let port = Self.port(text) {
            self = .loopback(port: port)
            return
        }
        var host = text
        var port = port
        if !text.hasSuffix("]"), let colon = text.lastIndex(of: ":") {
            guard let number = Self.port(text[text.index(after: colon)...]) else { return nil }
            port = number
            host = String(text[..<colon])
        }
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        if isBracketed { host = String(host.dropFirst().dropLast()) }
        if host == "localhost" || host.isEmpty, !isBracketed { host = "127.0.0.1" }
        var (address4, address6) = (in_addr(), in6_addr())
        if !isBracketed, inet_pton(AF_INET, host, &address4) == 1 {
            self.init(host: host, port: port, family: .ip4)
        } else if isBracketed, inet_pton(AF_INET6, host, &address6) == 1 {
            self.init(host: host, port: port, family: .ip6)
        } else {
            return nil
        }
    }

    /// Digits only: the initializer of a number also accepts a sign.
    private static func port(_ text: some StringProtocol) -> UInt16? {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? UInt16(text) : nil
    }

    /// Whether only this machine reaches the address.
    public var isLoopback: Bool { host.hasPrefix("127.") || host == "::1" }
    /// Whether it stands for all addresses of this machine.
    public var isWildcard: Bool { host == "0.0.0.0" || host == "::" }

    public var description: String { family == .ip6 ? "[\(host)]:\(port)" : "\(host):\(port)" }
    public var url: String { "http://\(description)" }
}
