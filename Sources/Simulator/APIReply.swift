import CCrypto
import FoundationEssentials

/// A reply of the API, with the texts of the real server.
struct APIReply: Sendable {
    var code: Int
    var message: String
    var data: OfferData?

    struct OfferData: Encodable, Sendable {
        var urlKey = ""
        var versionName = ""
        var versionCode = 0
        var urlPath = ""
        var upgradeType = 0
        var promptUpgradeContent = ""
    }

    private struct Envelope: Encodable {
        var code: Int
        var msg: String
        var docs: String
        var data: OfferData?
        var traceId: String?
    }

    static let success = APIReply(code: 0, message: "成功")
    /// The real server sends an object of empty strings and zeros in this case.
    static let latest = APIReply(code: 0, message: "当前已是最新版本", data: OfferData())

    static func error(_ code: Int, _ message: String) -> APIReply { APIReply(code: code, message: message) }

    static func offer(_ version: Version, urlKey: String, baseURL: String) -> APIReply {
        let url = version.file.contains("://") ? version.file : "\(baseURL)\(ServedFiles.root)\(version.file)"
        return APIReply(
            code: 200, message: "成功",
            data: OfferData(
                urlKey: urlKey, versionName: version.versionName, versionCode: version.versionCode, urlPath: url,
                upgradeType: version.upgradeType, promptUpgradeContent: version.promptUpgradeContent))
    }

    var status: Int { code < 1000 ? 200 : code / 1000 }

    var body: Data {
        let isError = code >= 1000
        let envelope = Envelope(
            code: code, msg: message, docs: "", data: data, traceId: isError ? UUID().uuidString.lowercased() : nil)
        // A value of strings and integers always encodes.
        return (try? JSONEncoder().encode(envelope)) ?? Data()
    }
}

func md5(_ text: String) -> String {
    guard let context = EVP_MD_CTX_new() else { return "" }
    defer { EVP_MD_CTX_free(context) }
    let bytes = Array(text.utf8)
    var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var length: UInt32 = 0
    EVP_DigestInit_ex(context, EVP_md5(), nil)
    EVP_DigestUpdate(context, bytes, bytes.count)
    EVP_DigestFinal_ex(context, &digest, &length)
    return digest[..<Int(length)].map { byte in
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }.joined()
}
