import UpdateCore

/// An option: its key, its allowed values and its default.
struct Option: Sendable {
    enum Kind: Sendable {
        case text
        /// A text without control and invisible characters. A line break in a key would end the header of a request.
        case line
        /// An absolute path.
        case path
        case url
        /// The URL of a proxy; it may contain a password.
        case proxy
        case flag
        case integer(ClosedRange<Int>)
        /// A duration; the bounds are in seconds.
        case duration(ClosedRange<Seconds>)
        /// The bounds are in bytes.
        case size(ClosedRange<Int>)
        case choice([String])
        case texts
        /// A table whose keys the operator chooses.
        case textTable
        case durationTable(ClosedRange<Seconds>)
        case freeTable
    }

    let key: String
    let kind: Kind
    /// The default; nil if the option is absent by default, or if the default depends on another value.
    let standard: Value?
    var isSecret = false
    /// Whether a list adds to those of the files before it; an empty text in it drops them, as in a unit (systemd.syntax(7)).
    var isCumulative = false

    init(
        _ key: String, _ kind: Kind, _ standard: Value? = nil, isSecret: Bool = false, isCumulative: Bool = false
    ) {
        self.isCumulative = isCumulative
        self.key = key
        self.kind = kind
        self.standard = standard
        self.isSecret = isSecret
    }

    /// Why the value is not allowed; nil if it is allowed.
    func objection(to value: Value) -> String? {
        let found = isSecret ? "something else" : value.found
        switch (kind, value) {
        case (.text, .string(let text)) where !text.isEmpty: return nil
        case (.text, _): return "found \(found), allowed is a text that is not empty"

        case (.line, .string(let text)) where !text.isEmpty:
            guard let hidden = text.hiddenCharacter else { return nil }
            return "found \(hidden) in the text, allowed is one line without such characters; write the value again"
        case (.line, _): return "found \(found), allowed is a text that is not empty"

        case (.path, .string(let text)) where text.hasPrefix("/"): return nil
        case (.path, _): return "found \(found), allowed is an absolute path"

        case (.url, .string(let text)) where WebURL(text) != nil: return nil
        // A wrong URL may hide a password at a place where `found` does not expect it.
        case (.url, .string(let text)) where text.contains("@"):
            return "found a text with @, allowed is an http or https URL"
        case (.url, _): return "found \(found), allowed is an http or https URL"

        case (.proxy, .string(let text)):
            do throws(ProxyURL.Problem) {
                _ = try ProxyURL(text)
                return nil
            } catch {
                return "found a text that is not the URL of a proxy: \(error); \(Self.proxyForm)"
            }
        case (.proxy, _): return "found something else than a text; \(Self.proxyForm)"

        case (.flag, .bool): return nil
        case (.flag, _): return "found \(found), allowed are true and false"

        case (.integer(let range), .integer(let number)) where range.contains(number): return nil
        case (.integer(let range), _):
            let bounds =
                range.upperBound == Int.max
                ? "at least \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
            return "found \(found), allowed is a whole number \(bounds)"

        case (.duration(let range), _):
            if let seconds = Self.seconds(value), range.contains(seconds) { return nil }
            return "found \(found), allowed is a length of time from \(describe(range.lowerBound)) to "
                + "\(describe(range.upperBound)), such as \"90s\", \"15min\" or \"6h\""

        case (.size(let range), _):
            if let bytes = Self.bytes(value), range.contains(bytes) { return nil }
            return "found \(found), allowed is a number of bytes from \(range.lowerBound) to "
                + "\(range.upperBound), such as 65536, \"512K\" or \"8G\""

        case (.choice(let names), .string(let text)) where names.contains(text): return nil
        case (.choice(let names), _):
            return "found \(found), allowed is one of " + names.map { "\"\($0)\"" }.joined(separator: ", ")

        case (.texts, .list(let items)):
            for case let item in items {
                guard case .string = item else { return "found \(item.found) in the list, allowed are texts" }
            }
            return nil
        case (.texts, _): return "found \(found), allowed is a list of texts"

        case (.textTable, .table(let fields)):
            for (name, field) in fields.sorted(by: { $0.key < $1.key }) {
                guard case .string = field else { return "found \(field.found) for \"\(name)\", allowed are texts" }
            }
            return nil
        case (.durationTable(let range), .table(let fields)):
            for (name, field) in fields.sorted(by: { $0.key < $1.key }) {
                if let objection = Option(name, .duration(range)).objection(to: field) {
                    return "\(name): \(objection)"
                }
            }
            return nil
        case (.freeTable, .table): return nil
        case (.textTable, _), (.durationTable, _), (.freeTable, _): return "found \(found), allowed is a table"
        }
    }

    private static let proxyForm =
        "write it as \"http://proxy.example:3128\", with user:password@ before the host if the proxy requires a login"

    /// Whether the value must not be shown as a whole.
    func isSecret(_ value: Value) -> Bool { isSecret || value.hasUserInfo }

    /// The value as JSON without its secrets.
    func shown(_ value: Value) -> String {
        if isSecret { return "***" }
        return value.hasUserInfo ? value.withoutUserInfo.json : value.json
    }

    static func seconds(_ value: Value) -> Seconds? {
        switch value {
        case .integer(let number): Seconds(number)
        case .number(let number): number
        case .string(let text): Quantity.seconds(text)
        case .bool, .list, .table, .moment: nil
        }
    }

    static func bytes(_ value: Value) -> Int? {
        switch value {
        case .integer(let number): number
        case .string(let text): Quantity.bytes(text)
        case .number, .bool, .list, .table, .moment: nil
        }
    }
}

/// All options with their defaults; config/upgradelinkd.toml describes them.
enum Schema {
    private static let day: Seconds = 86_400

    static let options: [Option] = [
        Option("server.url", .url, .string("https://api.upgrade.toolsetlink.com")),
        Option("server.signingPath", .path),
        Option("server.caBundle", .path),
        Option("server.clientCertificate", .path),
        Option("server.clientKey", .path),
        Option("server.proxy", .proxy),
        Option("server.connectTimeout", .duration(0.1...600), .string("30s")),
        Option("server.requestTimeout", .duration(0.1...3600), .string("60s")),

        Option("credentials.accessKey", .line),
        Option("credentials.secretKey", .line, isSecret: true),
        Option("credentials.accessKeyFile", .path),
        Option("credentials.secretKeyFile", .path),

        Option("device.urlKey", .line),
        Option("device.devModelKey", .line),
        Option("device.devKey", .line),
        Option("device.interface", .text),
        Option("device.devKeyFormat", .choice(DevKeyFormat.allCases.map(\.rawValue)), .string("hex")),
        Option("device.devKeySalt", .text, isSecret: true),
        Option("device.appointVersionCode", .integer(0...Int.max), .integer(0)),
        Option("device.versionCode", .integer(1...Int.max)),
        Option("device.versionName", .text),
        Option("device.versionFile", .path),
        Option("device.versionCodeKey", .text, .string("VERSION_CODE")),
        Option("device.versionNameKey", .text),

        Option("poll.interval", .duration(1...(90 * day)), .string("6h")),
        Option("poll.splay", .duration(0...(7 * day)), .string("6h")),
        Option("poll.backOffBase", .duration(0.1...day), .string("15min")),
        Option("poll.backOffCap", .duration(1...(7 * day)), .string("6h")),

        Option("download.directory", .path),
        Option("download.speedLimit", .size(0...Int.max), .integer(0)),
        Option("download.sizeLimit", .size(1...Int.max), .string("8G")),
        Option("download.keepFree", .size(0...Int.max), .string("64M")),
        Option("download.lowSpeed", .size(0...Int.max), .string("1K")),
        Option("download.lowSpeedTime", .duration(1...3600), .string("60s")),
        Option("download.timeout", .duration(60...(30 * day)), .string("1d")),
        Option("download.beforeConsent", .flag, .bool(true)),
        Option(
            "download.ioClass", .choice(DownloadPriority.IOClass.allCases.map(\.rawValue)), .string("idle")),
        Option("download.nice", .integer(0...19), .integer(10)),
        Option("download.flushEvery", .size(0...(1 << 30)), .string("4M")),
        Option("download.keepCache", .flag, .bool(false)),

        Option("verification.mode", .choice(VerificationPolicy.Mode.allCases.map(\.rawValue)), .string("minisign")),
        Option("verification.keys", .texts),
        Option("verification.keysDirectory", .path),
        Option("verification.signatureUrl", .text),
        Option("verification.requireVersionCode", .flag, .bool(true)),

        Option("install.module", .text, .string("file")),
        Option(
            "install.moduleDirectories", .texts,
            .list([
                .string("/usr/lib/upgradelinkd/modules"), .string("/usr/share/mender/modules/v3"),
            ])),
        Option("install.fileName", .text, .string("artifact")),
        Option("install.files", .textTable),
        Option("install.metaData", .freeTable),
        Option("install.timeout", .duration(1...(7 * day)), .string("30min")),
        Option("install.timeouts", .durationTable(1...(7 * day))),
        Option("install.attempts", .integer(1...100), .integer(3)),
        Option("install.retryDelay", .duration(0.1...(7 * day)), .string("10min")),
        Option("install.windows", .texts, .list([])),
        Option("install.windowLimit", .duration(0...(365 * day)), .string("3d")),
        Option("install.missedWindows", .choice(MissedWindows.allCases.map(\.rawValue)), .string("idle")),
        Option("install.idleTime", .duration(1...day), .string("30min")),
        Option("install.gracePeriod", .duration(0...day), .string("5min")),
        Option("install.inhibitLimit", .duration(0...(30 * day)), .string("1h")),
        Option("install.deferrals", .integer(0...1000), .integer(3)),
        Option("install.reboot", .choice(RebootPolicy.allCases.map(\.rawValue)), .string("immediate")),
        Option("install.rebootTimeout", .duration(1...day), .string("5min")),
        Option(
            "install.rebootCommand", .texts,
            .list([
                .string("/usr/bin/systemctl"), .string("reboot"), .string("--check-inhibitors=no"),
            ])),

        Option("install.healthProgram", .texts, .list([])),
        Option("install.healthUnits", .texts, .list([]), isCumulative: true),
        Option("install.restartUnits", .texts, .list([]), isCumulative: true),
        Option("install.healthSettle", .duration(0...3600), .string("10s")),
        Option("install.healthTimeout", .duration(1...day), .string("5min")),
        Option("install.network", .flag, .bool(false)),

        Option("state.directory", .path),
        Option("state.installerDirectory", .path),
    ]

    static let byKey = Dictionary(uniqueKeysWithValues: options.map { ($0.key, $0) })

    static let sections = Set(options.map { String($0.key.prefix { $0 != "." }) })
}
