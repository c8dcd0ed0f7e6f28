/// A version that the agent does not take up again before the operator or the user retries it.
public struct RefusedVersion: Hashable, Sendable {
    public enum Why: String, CaseIterable, Sendable {
        /// The user rejected it.
        case rejected
        /// It failed ``Policy/maximumAttempts`` times.
        case blocked
    }

    public let versionCode: Int
    /// Empty if the history no longer has it.
    public let versionName: String
    public let why: Why
    /// How often it failed.
    public let failures: Int
    public let reason: Reason
}

extension AgentState {
    /// The versions that are rejected or blocked, in the order of their codes; not those that the installed version has passed.
    public func refusedVersions(_ context: Context) -> [RefusedVersion] {
        let blocked = trials.filter {
            $0.failures >= context.policy.maximumAttempts && !rejected.contains($0.versionCode)
        }
        let all =
            Set(rejected).map {
                version($0, .rejected, failures(of: $0), Reason("rejected by the user", .rejected))
            }
            + blocked.map {
                version($0.versionCode, .blocked, $0.failures, Reason($0.reason, $0.reasonCode ?? .unknown))
            }
        return all.filter { context.mayOffer($0.versionCode) }.sorted { $0.versionCode < $1.versionCode }
    }

    private func version(
        _ code: Int, _ why: RefusedVersion.Why, _ failures: Int, _ reason: Reason
    ) -> RefusedVersion {
        let name = history.last { $0.versionCode == code }?.versionName ?? ""
        return RefusedVersion(versionCode: code, versionName: name, why: why, failures: failures, reason: reason)
    }
}

extension Context {
    /// Whether the version is not one that the installed version has passed.
    func mayOffer(_ versionCode: Int) -> Bool {
        versionCode > installed.versionCode ?? 0 || versionCode == policy.appointVersionCode
    }
}
