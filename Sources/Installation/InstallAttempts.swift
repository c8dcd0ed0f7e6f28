import UpdateCore

/// How often each version was tried on this device. It is the installer's own count: neither a lost state of the agent nor a
/// lost record of the installation resets it, so that a version that fails does not reboot the device for ever.
public struct InstallAttempts: Codable, Hashable, Sendable {
    struct Version: Codable, Hashable, Sendable {
        var versionCode: Int
        /// Installations that began to change the device.
        var attempts = 0
        /// Reboots into the version; those back from it are not counted.
        var reboots = 0
    }

    /// Reboots into one version, whatever `install.attempts` allows.
    static let maximumReboots = 3
    private static let remembered = 16

    private(set) var versions: [Version] = []

    init() {}

    /// Why a version is not tried once more, or nil.
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

    /// A version that works, or that the operator wants tried again.
    mutating func forget(_ isForgotten: (_ versionCode: Int) -> Bool) {
        versions.removeAll { isForgotten($0.versionCode) }
    }

    /// The higher counts of both: one of two stored copies may be lost, or older.
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
