import Configuration
import DeviceChecks
import Glibc
import Host
import UpdateCore
import Verification

/// The checks of `upgradelinkctl doctor` that need a valid configuration. ``SystemCheckup`` needs none.
struct Checkup {
    let settings: Settings
    let credentials: Credentials
    let programs: String
    /// The directory that replaces `/` when the configuration is read.
    let root: String

    static let configuration = "configuration"

    /// The directory of upgradelink-fetch: this program's own in a build directory, `../lib/upgradelinkd` if installed.
    static var defaultPrograms: String {
        let directory = Files.directory(of: Environment.executablePath)
        return Files.exists("\(directory)/upgradelink-fetch")
            ? directory : "\(Files.directory(of: directory))/lib/upgradelinkd"
    }

    /// All of them except those of ``server(then:)``.
    var findings: [Finding] {
        AgentRights.findings(needs, root: root)
            + keys + [nameService, space] + state + module + moduleOptions + healthCheck + [reboot] + windows
    }

    /// With what only a device has, which has been installed.
    private var needs: AgentNeeds {
        var needs = AgentNeeds(settings, root: root)
        guard root == "/" else { return needs }
        needs.socket = InstallerClient.socketPath
        // The sandbox of the unit may hide a build directory, from which the agent does not start it.
        if programs.hasSuffix("/lib/upgradelinkd") { needs.worker = "\(programs)/upgradelink-fetch" }
        return needs
    }

    // MARK: keys

    var keys: [Finding] {
        let name = "keys"
        guard settings.verification.mode == .minisign else {
            return [
                .bad(
                    name,
                    "verification.mode is \"\(settings.verification.mode.rawValue)\": an attacker who controls the server could install anything",
                    "sign releases and use \"minisign\"")
            ]
        }
        let keys = ConfigurationFiles(root: root).keys.map { (id: MinisignKey($0.text)?.name ?? "?", key: $0) }
        guard !keys.isEmpty else {
            return [
                .bad(
                    name, "there are none, so nothing is installed",
                    "put the publisher's minisign public key into verification.keys")
            ]
        }
        // The same key in two files is harmless. Two keys with one number are not: a signature names its key by the number.
        var findings: [Finding] = []
        for (id, texts) in Dictionary(grouping: keys, by: \.id).sorted(by: { $0.key < $1.key })
        where Set(texts.map(\.key.text)).count > 1 {
            findings.append(
                .warn(
                    name, "two different keys have the ID \(id): \(texts.map(\.key.file).joined(separator: " and "))",
                    "remove the wrong one"))
        }
        let list = keys.map { "\($0.id) (\($0.key.file))" }.joined(separator: ", ")
        return [.ok(name, "\(keys.count) trusted: \(list)")] + findings
    }

    // MARK: network

    var nameService: Finding {
        let name = "DNS"
        guard let url = WebURL(settings.server.url) else {
            return .bad(name, "server.url has no host", "correct server.url")
        }
        if let proxy = resolvingProxy(for: url) { return .skip(name, "the proxy resolves names (\(proxy))") }
        // A zone is percent-encoded in a URL only (RFC 6874).
        let host = url.host.replacing("%25", with: "%")
        var hints = addrinfo()
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let result = getaddrinfo(host, nil, &hints, &found)
        defer { if let found { freeaddrinfo(found) } }
        return result == 0
            ? .ok(name, "\(host) is found")
            : .bad(name, "\(host): \(String(cString: gai_strerror(result)))", "check the network and /etc/resolv.conf")
    }

    // MARK: windows

    /// When installations can begin.
    var windows: [Finding] {
        let name = "windows"
        let install = settings.install
        guard !install.windows.isEmpty else { return [.ok(name, "installations can begin at any time")] }
        let now = Clock.wallTime
        let zone = LocalTime.offsets(around: now)
        var findings: [Finding] = []
        if let longest = install.windows.map(\.length).max(), install.gracePeriod >= Seconds(longest * 60) {
            findings.append(
                .warn(
                    name,
                    "install.gracePeriod (\(describe(install.gracePeriod))) is not shorter than the longest window (\(describe(Seconds(longest * 60))))",
                    "lengthen install.windows, or shorten install.gracePeriod"))
        }
        // Without a time zone, local time is UTC (localtime(5)).
        if Environment.current["TZ"] == nil, !Files.exists("/etc/localtime") {
            findings.append(
                .warn(
                    name, "no time zone is set, so install.windows are times in UTC",
                    "timedatectl set-timezone ZONE (it may need the package tzdata)"))
        }
        guard findings.isEmpty else { return findings }
        let isOpen = install.windows.isOpen(at: now, zone)
        let next = install.windows.nextOpening(after: now, zone).map { LocalTime.text($0) } ?? "never"
        return [.ok(name, isOpen ? "one is open; the next one opens \(next)" : "the next one opens \(next)")]
    }
}
