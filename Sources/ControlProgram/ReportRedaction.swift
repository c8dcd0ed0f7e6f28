import Configuration
import Host
import UpdateCore

/// Replaces the secrets of this device's configuration. It needs no valid configuration: a report is often made because the
/// configuration is wrong.
struct ReportRedaction {
    private let redactions: [Redaction]
    /// What is not replaced; nil if all secrets are known.
    private let gap: String?

    init(root: String) {
        let environment = Environment.current
        let secrets = ConfigurationSecrets(root: root, environment: environment)
        // A proxy has other schemes than a web address, and is taken apart as the variable with the proxy is.
        let urls = secrets.urls.map { Redaction(nil, urls: [$0], environment: ["http_proxy": $0]) }
        redactions = [Redaction(nil, environment: environment), Redaction(Array(secrets.texts))] + urls
        let unread = secrets.unread.map { "\($0.path) (\($0.reason))" }
        gap = unread.isEmpty ? nil : Set(unread).sorted().joined(separator: ", ")
    }

    /// Whether the secrets are known.
    var note: String {
        guard let gap else { return "replaced by ***" }
        return "what is secret in these files cannot be read, so it is not replaced; the agent does not log it: \(gap)"
    }

    /// One or two sentences for the user.
    var notice: Shown {
        guard let gap else { return "Keys and passwords are replaced by ***." }
        return "Keys and passwords are replaced by ***, but not those in files that cannot be read: \(gap)"
    }

    func callAsFunction(_ text: String) -> String { redactions.reduce(text) { $1($0) } }
}
