import FoundationEssentials
import Simulator

/// A device that sends its requests with curl and signs them with md5sum: it shares no code with this package.
struct Client {
    let url: String
    var accessKey = "ak"
    var secretKey = "sk"

    struct Response: Sendable {
        var status: Int
        var headers: String
        var body: String
        /// The API's code; -1 if the body has none.
        var code: Int { Int(field("code") ?? "") ?? -1 }

        /// The first field of this name, as it is written.
        func field(_ name: String) -> String? {
            guard let match = try? Regex("\"\(name)\":(\"[^\"]*\"|[^,}]*)").firstMatch(in: body),
                let range = match.output[1].range
            else { return nil }
            return body[range].trimming { $0 == "\"" }
        }
    }

    /// Sends a signed request.
    ///
    /// - Parameter change: headers with a wrong value; an empty value omits the header.
    func post(
        _ path: String, _ body: String, signedBody: String? = nil, signedPath: String? = nil,
        change: [String: String] = [:], at time: Date = Date()
    ) async throws -> Response {
        let timestamp = change["X-Timestamp"] ?? time.formatted(.iso8601)
        let nonce = change["X-Nonce"] ?? UUID().uuidString
        let signed = signedBody ?? body
        let text =
            (signed.isEmpty ? "" : "body=\(signed)&")
            + "nonce=\(nonce)&secretKey=\(secretKey)&timestamp=\(timestamp)&url=\(signedPath ?? path)"
        let sum = try await execute("sh", ["-c", "printf %s \"$1\" | md5sum", "sh", text])
        var headers = [
            "X-Timestamp": timestamp, "X-Nonce": nonce, "X-AccessKey": accessKey,
            "X-Signature": String(sum.prefix(32)), "Content-Type": "application/json",
        ]
        headers.merge(change) { $1 }
        return try await curl(
            path,
            headers.flatMap { ["-H", $0.value.isEmpty ? "\($0.key):" : "\($0.key): \($0.value)"] }
                + ["--data-binary", body])
    }

    func get(_ path: String, _ options: [String] = []) async throws -> Response { try await curl(path, options) }

    private func curl(_ path: String, _ options: [String]) async throws -> Response {
        let text = try await execute("curl", ["-sS", "-i", "--max-time", "20"] + options + [url + path])
        let parts = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
        let head = String(parts[0])
        return Response(
            status: Int(head.split(separator: " ").dropFirst().first ?? "") ?? -1, headers: head.lowercased(),
            body: parts.count > 1 ? String(parts[1]) : "")
    }
}

extension StringProtocol {
    fileprivate func trimming(_ drop: (Character) -> Bool) -> String {
        let start = drop(first ?? " ") ? dropFirst() : self[...]
        return String(drop(start.last ?? " ") ? start.dropLast() : start)
    }
}
