import UpdateCore

/// The fields of a trusted comment that say what the signed file is: `urlKey=… versionCode=… devModelKey=…`, and from which
/// version on later files are accepted: `minVersionCode=…`. They may be in any order and among other words.
struct Claims: Equatable {
    private var fields: [String: String] = [:]

    /// Nil if a field occurs twice with different values.
    init?(_ comment: String) {
        for word in comment.split(whereSeparator: \.isWhitespace) {
            guard let equals = word.firstIndex(of: "=") else { continue }
            let name = String(word[..<equals])
            let value = String(word[word.index(after: equals)...])
            guard fields[name, default: value] == value else { return nil }
            fields[name] = value
        }
    }

    var versionCode: Int? { code("versionCode") }
    var urlKey: String? { fields["urlKey"] }
    var devModelKey: String? { fields["devModelKey"] }

    /// No version below this one may be installed after the signed file. It may be above the file's own versionCode: then
    /// versions in between, which were signed earlier, are revoked.
    var minVersionCode: Int? { code("minVersionCode") }

    var hasInvalidMinimum: Bool { fields["minVersionCode"] != nil && minVersionCode == nil }

    private func code(_ field: String) -> Int? { fields[field].flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil } }

    /// Why the claims do not match the offer, or nil if they match.
    func mismatch(_ offer: Offer, devModelKey: String?, requireVersionCode: Bool) -> String? {
        if let claimed = fields["versionCode"] {
            if claimed != "\(offer.versionCode)" { return say("versionCode", claimed, "\(offer.versionCode)") }
        } else if requireVersionCode {
            return "its trusted comment does not say which version it signs: sign with "
                + "minisign -S -t \"urlKey=\(offer.urlKey) versionCode=\(offer.versionCode)\""
        }
        if let claimed = fields["urlKey"], claimed != offer.urlKey { return say("urlKey", claimed, offer.urlKey) }
        if let claimed = fields["devModelKey"], claimed != devModelKey ?? "" {
            return say("devModelKey", claimed, devModelKey ?? "none")
        }
        return nil
    }

    private func say(_ field: String, _ claimed: String, _ wanted: String) -> String {
        "it was signed for \(field) \(claimed.sanitized(limit: 64)), and \(wanted) is wanted"
    }
}
