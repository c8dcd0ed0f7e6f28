import UpdateCore

/// The installer's own count of attempts for each version. A lost agent state or a lost installation record does not reset it.
/// A version that always fails therefore cannot reboot the device for ever.
public struct InstallAttempts: Codable, Hashable, Sendable {
    struct Version: Codable, Hashable, Sendable {
        var versionCode: Int
        /// Installations that reached the module's state `Download`, and whose commit did not reset this count.
        var attempts = 0
        /// Reboots into the version. Reboots of a rollback are not counted.
        var reboots = 0
        /// How often the counts were reset at the request of the agent.
        var resets = 0
        /// Installations that ended for a reason that was not the version's fault, since the counts began.
        var excuses = 0

        /// What would be forgotten without it.
        var weight: Int { attempts + reboots + resets + excuses }

        init(versionCode: Int) { self.versionCode = versionCode }

        private enum CodingKeys: String, CodingKey { case versionCode, attempts, reboots, resets, excuses }

        init(from decoder: any Decoder) throws {
            let fields = try StoredFields(decoder, CodingKeys.self)
            let count = { (key: CodingKeys) in min(max(fields.value(key, or: 0), 0), InstallAttempts.maximumCount) }
            versionCode = try fields.required(.versionCode)
            attempts = count(.attempts)
            reboots = count(.reboots)
            // 0.1.0 stored no counts; earlier builds of 0.2.0 stored no resets.
            resets = count(.resets)
            excuses = count(.excuses)
        }
    }

    /// The limit of reboots into one version; it does not depend on `install.attempts`.
    static let maximumReboots = 3
    /// The limit of resets of one version's counts at the request of the agent, which may have been taken over. Root has none.
    static let maximumResets = 3
    /// Installations of one version that end without its fault, and are therefore not counted. Further ones count: a version that
    /// reboots the device while it is installed looks like a user who switches it off.
    static let maximumExcuses = 30
    /// The limit of attempts and reboots of all versions together, which only root and the commit of a version above the floor
    /// reset: as many as eight versions have that fail three times each, after a reboot.
    static let maximumTotal = 48
    /// A higher count in a file is damage.
    static let maximumCount = 1_000_000
    /// The limit of stored versions; the one with the lowest counts is dropped first.
    private static let remembered = 16

    private(set) var versions: [Version] = []
    /// Attempts and reboots of all versions, also of those that are dropped or that the agent has reset.
    private(set) var total = 0

    init() {}

    private enum CodingKeys: String, CodingKey { case versions, total }

    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        versions = fields.list(.versions, limit: Self.remembered)
        // Earlier builds of 0.2.0 stored no total.
        let stored = fields.value(.total, or: versions.reduce(0) { $0 + $1.attempts + $1.reboots })
        total = min(max(stored, 0), Self.maximumCount)
    }

    /// Why the installer refuses another attempt at a version, or nil.
    ///
    /// - Parameter limit: `install.attempts`.
    func refusal(of versionCode: Int, limit: Int) -> String? {
        if total >= max(Self.maximumTotal, 2 * limit) {
            return
                "versionCode \(versionCode) is blocked after \(total) installations and reboots without a newer version: "
                + "run upgradelinkctl retry \(versionCode) as root"
        }
        guard let found = versions.first(where: { $0.versionCode == versionCode }) else { return nil }
        let remedy =
            "a newer version is awaited, or upgradelinkctl retry \(versionCode)"
            + (found.resets >= Self.maximumResets ? " as root" : "")
        if found.attempts >= limit {
            return
                "versionCode \(versionCode) is blocked after \(counted(found.attempts, "failed or repeated installation")); \(remedy)"
        }
        if found.reboots >= Self.maximumReboots {
            return "versionCode \(versionCode) is blocked after \(counted(found.reboots, "reboot")); \(remedy)"
        }
        return nil
    }

    mutating func countAttempt(at versionCode: Int) {
        update(versionCode) { $0.attempts = min($0.attempts + 1, Self.maximumCount) }
        total = min(total + 1, Self.maximumCount)
    }

    /// Takes an attempt back that ended without the version's fault, and its reboots into the version.
    mutating func uncountAttempt(at versionCode: Int, reboots: Int = 0) {
        guard let found = versions.first(where: { $0.versionCode == versionCode }), found.attempts > 0,
            found.excuses < Self.maximumExcuses
        else { return }
        update(versionCode) {
            $0.attempts -= 1
            $0.reboots = max($0.reboots - reboots, 0)
            $0.excuses += 1
        }
        total = max(total - 1 - reboots, 0)
    }

    mutating func countReboot(into versionCode: Int) {
        update(versionCode) { $0.reboots = min($0.reboots + 1, Self.maximumCount) }
        total = min(total + 1, Self.maximumCount)
    }

    /// Resets the counts of a version at the request of the agent.
    ///
    /// - Returns: why they are not reset, or nil.
    mutating func reset(_ versionCode: Int) -> String? {
        guard let index = versions.firstIndex(where: { $0.versionCode == versionCode }),
            versions[index].attempts + versions[index].reboots > 0
        else { return nil }
        guard versions[index].resets < Self.maximumResets else {
            return "the counts of versionCode \(versionCode) were reset \(Self.maximumResets) times already: "
                + "run upgradelinkctl retry \(versionCode) as root"
        }
        versions[index].attempts = 0
        versions[index].reboots = 0
        versions[index].resets += 1
        return nil
    }

    /// Drops the counts of a version above the floor that is committed, and of those below it.
    mutating func forget(committed versionCode: Int) {
        versions.removeAll { $0.versionCode <= versionCode }
        total = 0
    }

    /// Drops the counts of a version that root retries.
    mutating func forget(retried versionCode: Int) {
        versions.removeAll { $0.versionCode == versionCode }
        total = 0
    }

    /// Takes the higher of both counts, because one of the two stored copies may be lost or older.
    func merged(with other: InstallAttempts) -> InstallAttempts {
        var merged = self
        for version in other.versions {
            merged.update(version.versionCode) {
                $0.attempts = max($0.attempts, version.attempts)
                $0.reboots = max($0.reboots, version.reboots)
                $0.resets = max($0.resets, version.resets)
                $0.excuses = max($0.excuses, version.excuses)
            }
        }
        merged.total = max(total, other.total)
        return merged
    }

    private mutating func update(_ versionCode: Int, _ change: (inout Version) -> Void) {
        if !versions.contains(where: { $0.versionCode == versionCode }) {
            if versions.count >= Self.remembered,
                let lowest = versions.indices.min(by: { versions[$0].weight < versions[$1].weight })
            {
                versions.remove(at: lowest)
            }
            versions.append(Version(versionCode: versionCode))
        }
        guard let index = versions.firstIndex(where: { $0.versionCode == versionCode }) else { return }
        change(&versions[index])
    }
}
