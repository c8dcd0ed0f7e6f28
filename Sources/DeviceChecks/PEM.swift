import UpdateCore

/// The text encoding of certificates and keys (RFC 7468).
enum PEM {
    /// What is wrong with a file of certificates or with a private key; nil if it looks right.
    static func problem(of bytes: [UInt8], _ file: AgentNeeds.File) -> String? {
        let text = String(decoding: bytes, as: UTF8.self)
        let option = file.option ?? ""
        switch file.content {
        case .any: return nil
        case .certificates:
            return text.contains("-----BEGIN CERTIFICATE-----") || text.contains("-----BEGIN TRUSTED CERTIFICATE-----")
                ? nil : "\(option): \(file.path) has no certificate in PEM"
        case .privateKey:
            return text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----")
                ? nil : "\(option): \(file.path) has no private key in PEM"
        }
    }
}
