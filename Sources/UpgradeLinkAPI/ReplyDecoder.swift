import FoundationEssentials
public import UpdateCore

/// Reads replies of the UpgradeLink API. It has no errors: every reply becomes a ``CheckResponse`` or a ``Delivery``.
public struct ReplyDecoder: Sendable {
    /// A longer body is not read to its end.
    public static let maximumBodyBytes = 1 << 20

    /// The device's time of the reply, for a date in `Retry-After` if the reply has no `Date`.
    private let now: WallTime

    public init(now: WallTime) { self.now = now }

    /// The result of `POST /v1/url/upgrade`.
    public func response(_ reply: HTTPReply, to checkRequest: CheckRequest) -> CheckResponse {
        switch read(reply) {
        case .failure(let response):
            return response
        case .success(let envelope) where envelope.code == 0:
            return .latest
        case .success(let envelope) where envelope.code == 200:
            return offer(envelope, checkRequest)
        case .success(let envelope):
            return response(envelope, reply)
        }
    }

    /// The result of `POST /v1/app/report`.
    public func delivery(_ reply: HTTPReply) -> Delivery {
        let response: CheckResponse
        switch read(reply) {
        case .failure(let failure): response = failure
        case .success(let envelope) where envelope.code == 0 || envelope.code == 200: return .delivered
        case .success(let envelope): response = self.response(envelope, reply)
        }
        switch response {
        case .misconfigured(let misconfiguration): return .refused(misconfiguration)
        case .transientError(let transientError): return .transientError(transientError)
        case .latest, .offer, .refusedOffer: return .delivered
        }
    }

    // MARK: the envelope

    private struct Envelope: Sendable {
        var code: Int
        var message: String
        var traceID: String?
        var data: JSON
    }

    private enum Reading {
        case success(Envelope)
        case failure(CheckResponse)
    }

    private func read(_ reply: HTTPReply) -> Reading {
        guard let json = JSON(reply.body), case .object(let fields) = json, let code = fields["code"]?.integer else {
            return .failure(byStatus(reply))
        }
        let envelope = Envelope(
            code: code, message: (fields["msg"]?.string ?? "").sanitized(limit: 200),
            traceID: fields["traceId"]?.string.map { $0.sanitized(limit: 64) }, data: fields["data"] ?? .null)
        // The error page of a gateway may be JSON too: a success code counts only with a success status.
        if code == 0 || code == 200, !(200..<300).contains(reply.status) { return .failure(byStatus(reply)) }
        return .success(envelope)
    }

    /// The first three digits of a code with six digits are its status. Another code is not in the API.
    private func response(_ envelope: Envelope, _ reply: HTTPReply) -> CheckResponse {
        guard (100_000...599_999).contains(envelope.code) else {
            return (200..<300).contains(reply.status)
                ? .transientError(.unreadable("code \(envelope.code) is not in the contract"))
                : byStatus(reply)
        }
        return response(
            status: envelope.code / 1000, code: envelope.code, message: envelope.message,
            traceID: envelope.traceID, reply)
    }

    private func byStatus(_ reply: HTTPReply) -> CheckResponse {
        switch reply.status {
        case 200..<300:
            let body = describeBody(reply)
            return .transientError(.unreadable(body.contains("HTML") ? body + ": captive portal or filter?" : body))
        case 300..<400:
            let target = reply.headers["location"].map { " to \($0.withoutUserInfo.sanitized(limit: 200))" } ?? ""
            return .transientError(
                .unreadable("HTTP \(reply.status), a redirect\(target); set server.url to the final address"))
        default:
            return response(
                status: reply.status, code: reply.status, message: describeBody(reply), traceID: nil, reply)
        }
    }

    private func response(
        status: Int, code: Int, message: String, traceID: String?, _ reply: HTTPReply
    ) -> CheckResponse {
        switch status {
        case 429:
            return .transientError(.rateLimited(retryAfter: retryAfter(reply)))
        case 400..<500 where status != 408 && status != 425:
            return .misconfigured(Misconfiguration(status: status, code: code, message: message, traceID: traceID))
        default:
            let trace = traceID.map { ", traceId \($0)" } ?? ""
            return .transientError(.server(status: status, detail: message + trace, retryAfter: retryAfter(reply)))
        }
    }

    private func retryAfter(_ reply: HTTPReply) -> Seconds? {
        guard let value = reply.headers["retry-after"] else { return nil }
        let serverTime = reply.headers["date"].flatMap(HTTPDate.parse)
        return HTTPDate.parseRetryAfter(value, now: serverTime ?? now)
    }

    private func describeBody(_ reply: HTTPReply) -> String {
        if reply.requiresClientCertificate { return HTTPReply.clientCertificateLine }
        if reply.status == 407 { return HTTPReply.proxyLine }
        if reply.body.isEmpty { return "an empty body" }
        let encoding = reply.headers["content-encoding"]?.lowercased() ?? "identity"
        if encoding != "identity" {
            return "a compressed body (Content-Encoding: \(encoding.sanitized(limit: 40))), which was not requested"
        }
        if reply.body.starts(with: HTTPReply.gzipMark) { return "a compressed body (gzip), which was not requested" }
        let start = String(decoding: reply.body.prefix(80), as: UTF8.self).sanitized(limit: 60)
        let isHTML = start.lowercased().hasPrefix("<!doctype") || start.lowercased().hasPrefix("<html")
        return isHTML ? "an HTML page instead of JSON" : "not the contract's JSON: \"\(start)\""
    }

    // MARK: the offer

    private func offer(_ envelope: Envelope, _ checkRequest: CheckRequest) -> CheckResponse {
        guard case .object(let data) = envelope.data else {
            return .transientError(.unreadable("code 200 without data"))
        }
        func bad(_ name: String, _ wanted: String) -> CheckResponse {
            .transientError(.unreadable("data.\(name) is \(data[name]?.kind ?? "missing"), not \(wanted)"))
        }
        guard let urlKey = data["urlKey"]?.string else { return bad("urlKey", "a string") }
        guard let versionCode = data["versionCode"]?.integer else { return bad("versionCode", "a whole number") }
        guard let urlPath = data["urlPath"]?.string else { return bad("urlPath", "a string") }
        guard let upgradeType = (data["upgradeType"] ?? .integer(0)).integer else {
            return bad("upgradeType", "a whole number")
        }
        guard let versionName = (data["versionName"] ?? .null).stringOrNothing else {
            return bad("versionName", "a string")
        }
        guard let text = (data["promptUpgradeContent"] ?? .null).stringOrNothing else {
            return bad("promptUpgradeContent", "a string")
        }
        let fields = OfferFields(
            urlKey: urlKey, versionName: versionName, versionCode: versionCode, urlPath: urlPath,
            upgradeType: upgradeType, promptUpgradeContent: text)
        do throws(OfferRefusal) {
            return .offer(try Offer(fields, respondingTo: checkRequest))
        } catch {
            return .refusedOffer(error)
        }
    }
}

/// The server's time, if the reply is a 401 and the request was signed with a clock that is wrong by more than a minute.
public func clockCorrection(_ reply: HTTPReply, signedAt: WallTime) -> WallTime? {
    guard reply.status == 401, let time = reply.headers["date"].flatMap(HTTPDate.parse) else { return nil }
    return abs(time - signedAt) > 60 ? time : nil
}
