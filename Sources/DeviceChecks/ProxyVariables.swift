import Glibc
import Host
public import Systemd
public import UpdateCore

/// The environment variables from which libcurl takes a proxy (libcurl-env(3)), as the unit of the agent has them.
public struct ProxyVariables: Sendable {
    /// `http_proxy` is only known in lower case, because a server may set `HTTP_PROXY` for a CGI program.
    public static let names = Redaction.proxyVariables + ["no_proxy", "NO_PROXY"]

    /// Those that are set; an empty one counts as not set.
    public let values: [String: String]

    public init(_ environment: [String: String]) {
        values = environment.filter { Self.names.contains($0.key) && !$0.value.isEmpty }
    }

    /// Those of a unit, as systemd has loaded it.
    ///
    /// - Returns: nil if there is no such unit, or no systemd.
    public static func ofUnit(_ unit: String, _ bus: Bus) -> ProxyVariables? {
        let systemd = "org.freedesktop.systemd1"
        func properties(_ path: String, _ interface: String) -> [String: BusValue]? {
            try? bus.callAndWait(
                systemd, path, "org.freedesktop.DBus.Properties", "GetAll", [.string("\(systemd).\(interface)")]
            ).first?.fields
        }
        let manager = "/org/freedesktop/systemd1"
        guard
            let path = try? bus.callAndWait(systemd, manager, "\(systemd).Manager", "LoadUnit", [.string(unit)])
                .first?.text, properties(path, "Unit")?["LoadState"]?.text == "loaded",
            let service = properties(path, "Service")
        else { return nil }
        return ProxyVariables(unit: service, manager: properties(manager, "Manager") ?? [:]) { file in
            (try? Files.read(file, limit: 1 << 20)).map { String(decoding: $0, as: UTF8.self) }
        }
    }

    /// - Parameters:
    ///   - service: the properties of `org.freedesktop.systemd1.Service`.
    ///   - manager: those of the service manager, whose environment each unit has.
    ///   - read: reads a file of `EnvironmentFile=`.
    init(unit service: [String: BusValue], manager: [String: BusValue], read: (String) -> String?) {
        var environment: [String: String] = [:]
        func add(_ assignments: [String]) {
            for text in assignments {
                guard let equals = text.firstIndex(of: "=") else { continue }
                environment[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
        }
        func texts(_ value: BusValue?) -> [String] { value?.items?.compactMap(\.text) ?? [] }
        add(texts(manager["Environment"]))
        add(texts(service["Environment"]))
        // The files override the settings (systemd.exec(5), `EnvironmentFile=`).
        for case .structure(let parts) in service["EnvironmentFiles"]?.items ?? [] {
            add(parts.first?.text.flatMap(read).map(Self.assignments) ?? [])
        }
        for text in texts(service["UnsetEnvironment"]) { environment[text] = nil }
        self.init(environment)
    }

    /// The lines of a file with an environment. Quotation marks around a value are removed; nothing else of a shell is known here.
    static func assignments(_ text: String) -> [String] {
        text.split(whereSeparator: \.isNewline).compactMap { line in
            let line = line.trimmed
            guard let first = line.first, first != "#", first != ";", let equals = line.firstIndex(of: "=") else {
                return nil
            }
            var value = line[line.index(after: equals)...].trimmed
            if let mark = value.first, mark == "\"" || mark == "'", value.count > 1, value.last == mark {
                value = value.dropFirst().dropLast()
            }
            return "\(line[..<equals].trimmed)=\(value)"
        }
    }

    /// The variable with the proxy for this URL; nil if libcurl connects to the host itself.
    public func proxy(for url: WebURL) -> String? {
        let own = url.isSecure ? ["https_proxy", "HTTPS_PROXY"] : ["http_proxy"]
        guard !excludes(url.host) else { return nil }
        return (own + ["all_proxy", "ALL_PROXY"]).first { values[$0] != nil }
    }

    /// Whether `no_proxy` names this host. It applies to a configured proxy too (CURLOPT_NOPROXY(3)).
    public func excludes(_ host: String) -> Bool {
        guard let list = values["no_proxy"] ?? values["NO_PROXY"] else { return false }
        let host = host.lowercased().withoutLastDot
        let address = Self.address(host)
        return list.split { $0 == "," || $0 == " " || $0 == "\t" }.contains { part in
            if part == "*" { return list == "*" }
            let entry = part.lowercased().filter { $0 != "[" && $0 != "]" }
            guard let address else {
                let name = String(entry.drop { $0 == "." }).withoutLastDot
                return !name.isEmpty && (host == name || host.hasSuffix(".\(name)"))
            }
            let parts = entry.split(separator: "/")
            guard parts.count <= 2, let network = Self.address(String(parts.first ?? "")),
                network.count == address.count
            else { return false }
            guard let length = parts.count == 2 ? Int(parts[1]) : address.count * 8,
                (0...address.count * 8).contains(length)
            else { return false }
            return (0..<length).allSatisfy { bit in
                (network[bit / 8] ^ address[bit / 8]) & (0x80 >> UInt8(bit % 8)) == 0
            }
        }
    }

    /// An IPv4 or IPv6 address as its bytes; nil for a name.
    private static func address(_ text: String) -> [UInt8]? {
        for (family, size) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: size)
            if inet_pton(family, text, &bytes) == 1 { return bytes }
        }
        return nil
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        let blanks: Set<Character> = [" ", "\t", "\r"]
        var text = drop { blanks.contains($0) }
        while let last = text.last, blanks.contains(last) { text.removeLast() }
        return text
    }
}

extension String {
    fileprivate var withoutLastDot: String { hasSuffix(".") ? String(dropLast()) : self }
}
