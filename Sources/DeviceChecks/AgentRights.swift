import Glibc
import Host
public import Systemd
import UpdateCore

/// Checks ``AgentNeeds`` with the rights of the agent: its user, its groups, and the sandbox of its unit. A process of root starts
/// itself once more, in a transient unit with the same sandbox, or else as the agent's user only.
public enum AgentRights {
    public static let user = "upgradelinkd"
    public static let unit = "upgradelinkd.service"
    private static let verb = "--agent-needs"
    /// What the finding about the rights themselves is called.
    static let name = "agent's rights"

    /// - Parameters:
    ///   - needs: its `hidden` is filled in.
    ///   - bus: the system bus, with systemd on it; nil if there is none.
    public static func findings(_ needs: AgentNeeds, _ bus: Bus?) -> [Finding] {
        let sandbox = bus.flatMap { try? Sandbox(of: unit, $0) }
        let user = sandbox?.user ?? user
        let missing = missingAccounts(user, sandbox)
        if !missing.isEmpty {
            return missing + AgentNeeds.names.map { .skip($0, "not checked without the agent's user and groups") }
        }
        guard let id = userID(of: user) else { return skipped("there is no user \(user) yet (DynamicUser=)") }
        var needs = needs
        needs.hidden = sandbox?.hidden ?? [:]
        needs.created = sandbox?.created ?? Sandbox.usual
        if geteuid() == id {
            return [.ok(name, "checked as the user \(user), who runs this program")] + needs.findings()
        }
        guard geteuid() == 0 else {
            return skipped("only root can check with the rights of the user \(user)")
        }
        guard let program = ownPath, let request = try? JSONLine.encode(needs).hexadecimal else {
            return skipped("this program does not find its own file")
        }
        var reason = "there is no systemd on this bus"
        if let sandbox, Files.exists("/run/systemd/system") {
            let options = ["--quiet", "--pipe", "--wait", "--collect", "--no-ask-password", "--service-type=exec"]
            let properties = ["User=\(user)", "RuntimeMaxSec=60", "TimeoutStartSec=60"] + sandbox.properties
            let result = run(
                "systemd-run", options + properties.flatMap { ["-p", $0] } + ["--", program, verb, request])
            if let findings = result.findings {
                return [.ok(name, "checked as the user \(user) in the sandbox of \(unit)")] + findings
            }
            reason = result.reason
        }
        let result = run(program, [verb, request, user])
        guard let findings = result.findings else { return skipped(result.reason) }
        return [
            .skip(name, "checked as the user \(user), but without the sandbox of \(unit): \(reason)")
        ] + findings
    }

    /// systemd starts no unit whose user or one of whose groups does not exist (systemd.exec(5), `User=`).
    private static func missingAccounts(_ user: String, _ sandbox: Sandbox?) -> [Finding] {
        if sandbox?.isDynamic == true { return [] }
        let consequence = "so systemd does not start the agent"
        var findings: [Finding] = []
        if userID(of: user) == nil {
            findings.append(
                user == self.user
                    ? .bad(name, "there is no user \(user), \(consequence)", "systemd-sysusers")
                    : .bad(
                        name, "the unit's User=\(user) does not exist, \(consequence)",
                        "remove User= from the drop-ins of \(unit) (systemctl edit upgradelinkd), or create the user"))
        }
        for group in sandbox?.groups ?? [] where UInt32(group) == nil && getgrnam(group) == nil {
            findings.append(
                group == self.user
                    ? .bad(name, "there is no group \(group), \(consequence)", "systemd-sysusers")
                    : .bad(
                        name, "the unit's group \(group) does not exist, \(consequence)",
                        "remove it from the drop-ins of \(unit) (systemctl edit upgradelinkd), or create the group"))
        }
        return findings
    }

    /// - Parameter user: a name or a number.
    private static func userID(of user: String) -> uid_t? { getpwnam(user)?.pointee.pw_uid ?? uid_t(user) }

    /// The same on the system bus of this device.
    ///
    /// - Parameter root: the directory that replaces `/` when the configuration is read. The unit of this device has another
    ///   configuration then, so the process checks with its own rights.
    public static func findings(_ needs: AgentNeeds, root: String) -> [Finding] {
        guard root == "/" else {
            return [.skip(name, "checked with the rights of this process, because of --root")] + needs.findings()
        }
        return findings(needs, try? Bus(acceptsDescriptors: false))
    }

    private static func skipped(_ reason: String) -> [Finding] {
        [.skip(name, reason)] + AgentNeeds.names.map { .skip($0, "not checked with the agent's rights: \(reason)") }
    }

    // MARK: the second process

    /// Called first by each program: if this is the second process, checks, and ends.
    public static func runIfRequested() {
        let arguments = CommandLine.arguments
        guard arguments.count >= 3, arguments[1] == verb else { return }
        guard let bytes = [UInt8](hexadecimal: arguments[2]),
            let needs = try? JSONLine.decode(AgentNeeds.self, from: bytes)
        else { exit(EX_USAGE) }
        if arguments.count > 3 { become(arguments[3]) }
        for finding in needs.findings() {
            guard let line = try? JSONLine.encode(finding) else { exit(EX_SOFTWARE) }
            _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
        }
        exit(0)
    }

    /// Drops root's rights for ever: setuid(2) sets all three user IDs of a process of root, and clears its capabilities.
    private static func become(_ user: String) {
        guard let entry = getpwnam(user) else { exit(EX_NOUSER) }
        let (uid, gid) = (entry.pointee.pw_uid, entry.pointee.pw_gid)
        guard uid != 0, initgroups(user, gid) == 0, setgid(gid) == 0, setuid(uid) == 0, setuid(0) != 0 else {
            exit(EX_NOPERM)
        }
    }

    /// - Returns: nil as the findings if the process did not check, and why.
    private static func run(_ program: String, _ arguments: [String]) -> (findings: [Finding]?, reason: String) {
        var findings: [Finding] = []
        var lastLine: String?
        let end = Program(program, arguments, streams: .errors, timeLimit: nil).runAndWait { line in
            if let finding = try? JSONLine.decode(Finding.self, from: Array(line.utf8)) {
                findings.append(finding)
            } else if !line.isEmpty {
                lastLine = line
            }
        }
        guard end.succeeded, !findings.isEmpty else {
            return (nil, lastLine.map { "\($0) (\(end))" } ?? "\(program): \(end)")
        }
        return (findings, "")
    }

    /// The path by which this program was started. The name of the link selects the program, so links are not followed.
    private static var ownPath: String? {
        guard let path = CommandLine.arguments.first, !path.isEmpty else { return nil }
        guard path.contains("/") else {
            let directories = (Environment.current["PATH"] ?? "").split(separator: ":").map(String.init)
            return directories.map { "\($0)/\(path)" }.first { $0.hasPrefix("/") && Files.isExecutable($0) }
        }
        guard let name = path.split(separator: "/").last else { return nil }
        return "\(Files.resolved(absolute(Files.directory(of: path))))/\(name)"
    }

    private static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let current = getcwd(nil, 0) else { return path }
        defer { free(current) }
        return "\(String(cString: current))/\(path)"
    }
}

/// systemd replaces `$` and the like in the arguments of a unit, and has a maximum for the length of a line: hexadecimal digits pass.
extension [UInt8] {
    fileprivate var hexadecimal: String {
        map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    fileprivate init?(hexadecimal text: String) {
        let digits = Array<UInt8>(text.utf8)
        guard digits.count.isMultiple(of: 2) else { return nil }
        self = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let byte = UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16) else {
                return nil
            }
            append(byte)
        }
    }
}
