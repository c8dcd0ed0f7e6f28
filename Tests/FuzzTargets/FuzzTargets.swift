import FoundationEssentials
import Host
import UpdateCore
import UpgradeLinkAPI
import Verification

@testable import Agent
@testable import Configuration
@testable import Installation
@testable import Systemd

/// The code that reads bytes from outside. It must end without a crash, whatever the bytes are.
public enum FuzzTarget: String, CaseIterable, Sendable {
    case reply
    case signature
    case date
    case configuration
    case state
    case installMessage
    case fetchReport
    case busCall
    case text

    @MainActor public func run(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        switch self {
        case .reply: reply(bytes)
        case .signature:
            if let signature = try? MinisignSignature(bytes) { keep(signature.trustedComment.count) }
            if let verifier = try? ArtifactVerifier(Self.policy) {
                keep((try? verifier.claimedVersion(bytes)) ?? 0)
                let offer = Offer(file: "/f", urlKey: "k", versionCode: 1)
                keep((try? verifier.expectation(sidecar: bytes, offer: offer, devModelKey: nil)) == nil ? 0 : 1)
            }
            keep(MinisignKey(text) == nil ? 0 : 1)
        case .date:
            let now = WallTime(unixSeconds: 1_800_000_000)
            if let wait = HTTPDate.parseRetryAfter(text, now: now) { precondition(wait.isFinite && wait >= 0) }
            keep(HTTPDate.parse(text) == nil ? 0 : 1)
            keep(MaintenanceWindow(text) == nil ? 0 : 1)
            if let seconds = Amount.seconds(text) { precondition(seconds >= 0) }
            if let bytes = Amount.bytes(text) { precondition(bytes >= 0) }
        case .configuration:
            let fragment = Fragment(file: "/f", bytes: bytes)
            let merged = MergedConfiguration([fragment], mainFile: "/f")
            do throws(ConfigurationErrors) {
                keep(try Settings(merged, [:]).warnings.count)
            } catch {
                precondition("\(error)".hiddenCharacter == nil && !error.errors.isEmpty)
            }
            for (key, value) in fragment.values {
                let name = key.split(separator: ".")
                let again = Fragment(file: "/g", bytes: Array("[\(name[0])]\n\(name[1]) = \(value.toml)".utf8))
                // Tables of dotted keys can be deeper than inline tables.
                precondition(again.isIncomplete || again.values[key]?.toml == value.toml)
            }
        case .state: state(bytes)
        case .installMessage: installMessage(bytes)
        case .fetchReport:
            if let report = try? JSONLine.decode(FetchReport.self, from: bytes) { keep("\(report)".count) }
            if let job = try? JSONLine.decode(FetchJob.self, from: bytes) { keep("\(job)".count) }
        case .busCall: busCall(text)
        case .text:
            let shown = text.sanitized(limit: 50)
            precondition(shown.count <= 50)
            precondition(!shown.unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) })
            precondition(JournalLogHandler.field("MESSAGE", text).unicodeScalars.allSatisfy { $0.value >= 0x20 })
            keep(WebURL(text).map { $0.shown.count + $0.withoutUserInfo.count } ?? 0)
            precondition(text.withoutUserInfo.withoutUserInfo == text.withoutUserInfo)
            if let proxy = try? ProxyURL(text) { precondition(!"\(proxy)".contains("@") || proxy.hasUserInfo) }
            keep(Redaction([text])(text).count + text.sanitizedLines(limit: 50).count)
            keep(text.leadingPercentage ?? 0)
        }
    }

    private static let policy = VerificationPolicy(
        mode: .minisign, keys: ["RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"],
        sidecarURL: "{url}.minisig",
        requireVersionCode: true)

    /// The first byte selects the status; the rest is the body.
    private func reply(_ bytes: [UInt8]) {
        let statuses = [200, 400, 401, 404, 429, 500, 502, 204, 301]
        guard let first = bytes.first else { return }
        let body = Array(bytes.dropFirst())
        let header = String(decoding: body.prefix(40), as: UTF8.self)
        let reply = HTTPReply(
            status: statuses[Int(first) % statuses.count], headers: ["retry-after": header, "date": header], body: body)
        let checkRequest = CheckRequest(urlKey: "k", versionCode: 1)
        let decoder = ReplyDecoder(now: WallTime(unixSeconds: 1_800_000_000))
        if case .offer(let offer) = decoder.response(reply, to: checkRequest) {
            precondition(offer.versionCode > 1 && offer.urlKey == "k" && WebURL(offer.urlPath) != nil)
        }
        keep("\(decoder.delivery(reply))".count)
        keep(clockCorrection(reply, signedAt: WallTime(unixSeconds: 1_700_000_000)) == nil ? 0 : 1)
    }

    /// The agent must start with any state file, and compute its status and its next wake-up.
    @MainActor private func state(_ bytes: [UInt8]) {
        guard let state = try? JSONDecoder().decode(AgentState.self, from: Data(bytes)) else { return }
        let context = Context(
            now: BootInstant(100), bootID: "b", wallClock: WallTime(unixSeconds: 1_800_000_000),
            buildTime: WallTime(unixSeconds: 1_700_000_000), installed: .known(versionCode: 1, versionName: nil),
            policy: Policy(
                schedule: PollSchedule(interval: 21_600, splay: 1800, backOffBase: 60, backOffCap: 3600), urlKey: "k"),
            seed: 1)
        let (started, _) = reduce(state, .started(found: nil), context)
        let (later, _) = reduce(started, .tick, context)
        keep(statusText(later, context).count)
        keep(nextWakeUp(later, context).map { Int($0.seconds.isFinite ? 1 : 0) } ?? 0)
        keep(
            BusProperties(
                later, context, status: "", hasError: false, progress: nil, speedLimit: 0
            ).values.count)
    }

    private func installMessage(_ bytes: [UInt8]) {
        if let record = try? JSONDecoder().decode(InstallRecord.self, from: Data(bytes)) {
            var record = record
            record.resume(bootID: "b")
            keep(record.step.name.count)
        }
        guard case .install(let job)? = try? JSONLine.decode(InstallMessage.self, from: bytes) else { return }
        let settings = InstallSettings(
            module: "m", moduleDirectories: [], fileName: "f", files: [:], metaData: "{}", timeout: 1, timeouts: [:],
            rebootCommand: [], urlKey: "k", devModelKey: nil)
        if job.refusal(settings, installed: .known(versionCode: 5, versionName: nil), VersionFloor()) == nil {
            precondition(job.offer.urlKey == "k" && job.offer.versionCode > 5)
        }
    }

    /// The first line is the method, the others are its arguments. Digits become an integer.
    @MainActor private func busCall(_ text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let arguments = lines.dropFirst().map { line in UInt64(line).map { BusValue.uint64($0) } ?? .string(line) }
        guard let method = BusMethod(interface: "", member: lines[0]) else { return }
        guard let action = BusAction(method, Array(arguments)) else { return keep(method.usage.count) }
        guard case .command(let command) = action else { return }
        let context = Context(
            now: BootInstant(100), bootID: "b", wallClock: WallTime(unixSeconds: 0),
            buildTime: WallTime(unixSeconds: 0),
            installed: .unknown(""),
            policy: Policy(
                schedule: PollSchedule(interval: 1, splay: 0, backOffBase: 1, backOffCap: 1), urlKey: "k"), seed: 1)
        keep(reduce(AgentState(), .command(command), context).effects.count)
    }
}

/// Prevents the optimizer from removing unused results.
@inline(never) private func keep(_ value: Int) { precondition(value > Int.min) }
