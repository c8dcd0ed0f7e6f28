import UpdateCore

/// The installer's own count of attempts for each version. A lost agent state or a lost installation record does not reset it.
/// A version that always fails therefore cannot reboot the device for ever.
public struct InstallAttempts: Codable, Hashable, Sendable {
    struct Version: Codable, Hashable, Sendable {
        var versionCode: Int
        /// Installations that reached the module's state `Download` and were not committed.
        var attempts = 0
        /// Reboots into the version. Reboots of a rollback are not counted.
        var reboots = 0
    }

    /// The limit of reboots into one version; it does not depend on `install.attempts`.
    static let maximumReboots = 3
    /// The limit of stored versions; the oldest is dropped first.
    private static let remembered = 16

    private(set) var versions: [Version] = []

    init() {}

    private enum CodingKeys: String, CodingKey { case versions }

    public init(from decoder: any Decoder) throws {
        versions = try StoredFields(decoder, CodingKeys.self).list(.versions, limit: Self.remembered)
    }

    /// Why the installer refuses another attempt at a version, or nil.
    ///
    /// - Parameter limit: `install.attempts`.
    func refusal(of versionCode: Int, limit: Int) -> String? {
        guard let found = versions.first(where: { $0.versionCode == versionCode }) else { return nil }
        let remedy = "a newer version is awaited, or upgradelinkctl retry \(versionCode)"
        if found.attempts >= limit {
            return "versionCode \(versionCode) is blocked after \(found.attempts) failed installations; \(remedy)"
        }
        if found.reboots >= Self.maximumReboots {
            return "versionCode \(versionCode) is blocked after \(found.reboots) reboots; \(remedy)"
        }
        return nil
    }

    mutating func countAttempt(at versionCode: Int) { update(versionCode) { $0.attempts += 1 } }
    mutating func countReboot(into versionCode: Int) { update(versionCode) { $0.reboots += 1 } }

    /// Drops the counts of versions that were committed, or that the operator retries.
    mutating func forget(_ isForgotten: (_ versionCode: Int) -> Bool) {
        versions.removeAll { isForgotten($0.versionCode) }
    }

    /// Takes the higher of both counts, because one of the two stored copies may be lost or older.
    func merged(with other: InstallAttempts) -> InstallAttempts {
        var merged = self
        for version in other.versions {
            merged.update(version.versionCode) {
                $0.attempts = max($0.attempts, version.attempts)
                $0.reboots = max($0.reboots, version.reboots)
            }
        }
        return merged
    }

    private mutating func update(_ versionCode: Int, _ change: (inout Version) -> Void) {
        if !versions.contains(where: { $0.versionCode == versionCode }) {
            versions.append(Version(versionCode: versionCode))
            if versions.count > Self.remembered { versions.removeFirst() }
        }
        guard let index = versions.firstIndex(where: { $0.versionCode == versionCode }) else { return }
        change(&versions[index])
    }
}
