import UpdateCore

/// The text encoding of certificates and keys (RFC 7468).
enum PEM {
    /// A certificate that expires sooner is a warning, in seconds.
    private static let soon: Seconds = 30 * 86_400

    /// What is wrong with a file of certificates or with a private key; nil if it looks right.
    ///
    /// - Parameters:
    ///   - name: of the finding.
    ///   - text: shows a time.
    static func problem(
        of bytes: [UInt8], _ file: AgentNeeds.File, name: String, now: WallTime, text show: (WallTime) -> String
    ) -> Finding? {
        let text = String(decoding: bytes, as: UTF8.self)
        let option = file.option ?? ""
        let remedy = "set \(option) to a file in PEM"
        switch file.content {
        case .any: return nil
        case .privateKey:
            return text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----")
                ? nil : .bad(name, "\(option): \(file.path) has no private key in PEM", remedy)
        case .certificates:
            let expiries = Certificate.expiries(inPEM: text)
            guard !expiries.isEmpty else {
                return .bad(name, "\(option): \(file.path) has no certificate in PEM", remedy)
            }
            // Of a client's certificate the first one counts. Of a bundle any one may be the server's.
            let times = option == "server.clientCertificate" ? Array(expiries.prefix(1)) : expiries
            guard !times.contains(nil), let last = times.compactMap(\.self).max() else { return nil }
            if last < now {
                return .bad(
                    name, "\(option): \(file.path) expired \(show(last))", "install a new one, or correct the clock")
            }
            return last - now < soon
                ? .warn(name, "\(option): \(file.path) expires \(show(last))", "install a new one before") : nil
        }
    }
}
