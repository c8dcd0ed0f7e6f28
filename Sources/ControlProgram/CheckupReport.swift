import DeviceChecks
import UpdateCore

/// The findings in their order, as text or JSON.
struct CheckupReport: Encodable {
    struct Summary: Encodable {
        var ok = 0
        var warn = 0
        var bad = 0
        var skip = 0
    }

    let findings: [Finding]
    let summary: Summary

    /// The names of the findings in their order. Each has at least one.
    static let names = [
        "configuration", "accounts", "agent's rights", "files", "credentials", "identity", "installed version",
        "certificates", "directories", "keys", "clock", "DNS", "TLS", "server", "disk space", "state", "update module",
        "module options", "health check", "reboot", "windows", "D-Bus", "unit", "installer", "resume", "boot", "agent",
        "updates",
    ]
    /// Only with `install.missedWindows = "boot"`.
    private static let optional: Set = ["boot"]

    /// - Parameter found: in any order. A name without a finding was not checked, because the configuration is wrong.
    init(_ found: [Finding]) {
        var ordered: [Finding] = []
        for name in Self.names {
            let named = found.filter { $0.name == name }
            if named.isEmpty, !Self.optional.contains(name) {
                ordered.append(.skip(name, "not checked, because the configuration is wrong"))
            }
            ordered += named
        }
        findings = ordered + found.filter { !Self.names.contains($0.name) }
        var summary = Summary()
        for finding in findings {
            switch finding.result {
            case .ok: summary.ok += 1
            case .warn: summary.warn += 1
            case .bad: summary.bad += 1
            case .skip: summary.skip += 1
            }
        }
        self.summary = summary
    }

    /// A line for each finding, and one with the numbers.
    var lines: [Shown] {
        let width = findings.map(\.name.count).max() ?? 0
        let counts: Shown = "\(summary.ok) ok, \(summary.warn) warn, \(summary.bad) BAD, \(summary.skip) skip"
        return findings.map { finding in
            let indent = ("" as Shown).padding(to: width - finding.name.count)
            return "\(Self.mark(finding.result)) \(indent)\(finding.name): \(finding.line, limit: 4000)"
        } + [counts]
    }

    private static func mark(_ result: Finding.Result) -> Shown {
        switch result {
        case .ok: Terminal.paint("ok  ", .green)
        case .warn: Terminal.paint("warn", .yellow)
        case .bad: Terminal.paint("BAD ", .red)
        case .skip: Terminal.paint("skip", .bold)
        }
    }
}
