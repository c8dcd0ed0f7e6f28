import Glibc

/// The address and the TCP port of a server: `127.0.0.1:8480`, `[::]:8480`, `localhost:0`.
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

    /// Nil if the text is not `ADDRESS:PORT`. An address is numeric, or `localhost`.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = String(text[..<colon])
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        if isBracketed { host = String(host.dropFirst().dropLast()) }
        if host == "localhost" { host = "127.0.0.1" }
        var (address4, address6) = (in_addr(), in6_addr())
        if !isBracketed, inet_pton(AF_INET, host, &address4) == 1 {
            self.init(host: host, port: port, family: .ip4)
        } else if isBracketed, inet_pton(AF_INET6, host, &address6) == 1 {
            self.init(host: host, port: port, family: .ip6)
        } else {
            return nil
        }
    }

    /// Whether only this machine reaches the address.
    public var isLoopback: Bool { host.hasPrefix("127.") || host == "::1" }
    /// Whether it stands for all addresses of this machine.
    public var isWildcard: Bool { host == "0.0.0.0" || host == "::" }

    public var description: String { family == .ip6 ? "[\(host)]:\(port)" : "\(host):\(port)" }
    public var url: String { "http://\(description)" }
}
