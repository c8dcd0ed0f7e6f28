import UpdateCore

/// The lowest version of each application that the installer accepts: the highest one that it has committed, or that the
/// signature of a committed one required (`minVersionCode=`). It does not depend on the installed version, which may be unknown,
/// and the agent has no influence on it.
public struct VersionFloor: Codable, Hashable, Sendable {
    struct Entry: Codable, Hashable, Sendable {
        var urlKey: String
        var versionCode: Int

        init(urlKey: String, versionCode: Int) {
            self.urlKey = urlKey
            self.versionCode = versionCode
        }

        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: CodingKeys.self)
            urlKey = try fields.decode(String.self, forKey: .urlKey)
            versionCode = max(try fields.decode(Int.self, forKey: .versionCode), 0)
        }

        private enum CodingKeys: String, CodingKey { case urlKey, versionCode }
    }

    /// The limit of stored applications; the oldest is dropped first. A device has one, until the operator changes
    /// `device.urlKey`.
    private static let remembered = 16

    private(set) var floors: [Entry] = []

    init() {}

    private enum CodingKeys: String, CodingKey { case floors }

    public init(from decoder: any Decoder) throws {
        floors = try StoredFields(decoder, CodingKeys.self).list(.floors, limit: Self.remembered)
    }

    /// 0 if no version was committed.
    func versionCode(of urlKey: String) -> Int { floors.first { $0.urlKey == urlKey }?.versionCode ?? 0 }

    mutating func raise(_ urlKey: String, to versionCode: Int) {
        if let index = floors.firstIndex(where: { $0.urlKey == urlKey }) {
            floors[index].versionCode = max(floors[index].versionCode, versionCode)
        } else {
            floors.append(Entry(urlKey: urlKey, versionCode: versionCode))
            if floors.count > Self.remembered { floors.removeFirst() }
        }
    }

    /// Takes the higher value of each application, because one of the stored copies may be lost or older.
    func merged(with other: VersionFloor) -> VersionFloor {
        var merged = self
        for entry in other.floors { merged.raise(entry.urlKey, to: entry.versionCode) }
        return merged
    }

    /// Why the installer refuses a version, or nil.
    func refusal(of offer: Offer, pinned: Int?) -> String? {
        let floor = versionCode(of: offer.urlKey)
        guard offer.versionCode < floor, offer.versionCode != pinned else { return nil }
        return
            "versionCode \(offer.versionCode) is below \(floor), the highest one that was committed on this device or "
            + "that a signature requires (minVersionCode); a downgrade needs device.appointVersionCode"
    }
}
