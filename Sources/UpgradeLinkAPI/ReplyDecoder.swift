import FoundationEssentials
public import UpdateCore

/// Reads replies of the UpgradeLink API. Nothing a server sends makes it fail: every reply becomes an ``Answer``.
public struct ReplyDecoder: Sendable {
    /// Longer bodies are not read to their end.
    public static let maximumBodyBytes = 1 << 20

    /// This box's time when the reply came, for a `Retry-After` date where the reply carries no `Date`.
    private let now: WallTime

    public init(now: WallTime) { self.now = now }

    /// The answer to `POST /v1/url/upgrade`.
    public func answer(_ reply: HTTPReply, to question: Question) -> Answer {
        switch read(reply) {
        case .failure(let answer):
            return answer
        case .success(let envelope) where envelope.code == 0:
            return .latest
        case .success(let envelope) where envelope.code == 200:
            return offer(envelope, question)
        case .success(let envelope):
            return answer(envelope, reply)
        }
    }

    /// What became of `POST /v1/app/report`.
    public func delivery(_ reply: HTTPReply) -> Delivery {
        let answer: Answer
        switch read(reply) {
        case .failure(let failure): answer = failure
        case .success(let envelope) where envelope.code == 0 || envelope.code == 200: return .delivered
        case .success(let envelope): answer = self.answer(envelope, reply)
        }
        switch answer {
        case .misconfigured(let misconfiguration): return .refused(misconfiguration)
        case .trouble(let trouble): return .trouble(trouble)
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
        case failure(Answer)
    }

    private func read(_ reply: HTTPReply) -> Reading {
        guard let json = JSON(reply.body), case .object(let fields) = json, let code = fields["code"]?.integer else {
            return .failure(byStatus(reply))
        }
        let envelope = Envelope(
            code: code, message: (fields["msg"]?.string ?? "").forPeople(limit: 200),
            traceID: fields["traceId"]?.string.map { $0.forPeople(limit: 64) }, data: fields["data"] ?? .null)
        // A gateway's error page may be JSON too: good news is believed only with a good status.
        if code == 0 || code == 200, !(200..<300).contains(reply.status) { return .failure(byStatus(reply)) }
        return .success(envelope)
    }

    /// By the code's first three digits; a code that has not six digits says nothing.
    private func answer(_ envelope: Envelope, _ reply: HTTPReply) -> Answer {
        guard (100_000...599_999).contains(envelope.code) else {
            return (200..<300).contains(reply.status)
                ? .trouble(.unreadable("code \(envelope.code) is not in the contract"))
                : byStatus(reply)
        }
        return answer(
            status: envelope.code / 1000, code: envelope.code, message: envelope.message,
            traceID: envelope.traceID, reply)
    }

    private func byStatus(_ reply: HTTPReply) -> Answer {
        switch reply.status {
        case 200..<300:
            return .trouble(.unreadable(describeBody(reply)))
        case 300..<400:
            let target = reply.headers["location"].map { " to \($0.forPeople(limit: 200))" } ?? ""
            return .trouble(
                .unreadable("HTTP \(reply.status), a redirect\(target); set server.url to the final address"))
        default:
            return answer(
                status: reply.status, code: reply.status, message: describeBody(reply), traceID: nil, reply)
        }
    }

    private func answer(status: Int, code: Int, message: String, traceID: String?, _ reply: HTTPReply) -> Answer {
        switch status {
        case 429:
            return .trouble(.rateLimited(retryAfter: retryAfter(reply)))
        case 400..<500 where status != 408 && status != 425:
            return .misconfigured(Misconfiguration(status: status, code: code, message: message, traceID: traceID))
        default:
            let trace = traceID.map { ", traceId \($0)" } ?? ""
            return .trouble(.server(status: status, detail: message + trace, retryAfter: retryAfter(reply)))
        }
    }

    private func retryAfter(_ reply: HTTPReply) -> Seconds? {
        guard let value = reply.headers["retry-after"] else { return nil }
        let serverTime = reply.headers["date"].flatMap(HTTPDate.parse)
        return HTTPDate.parseRetryAfter(value, now: serverTime ?? now)
    }

    private func describeBody(_ reply: HTTPReply) -> String {
        if reply.body.isEmpty { return "an empty body" }
        let start = String(decoding: reply.body.prefix(80), as: UTF8.self).forPeople(limit: 60)
        let isHTML = start.lowercased().hasPrefix("<!doctype") || start.lowercased().hasPrefix("<html")
        return isHTML ? "an HTML page instead of JSON" : "not the contract's JSON: \"\(start)\""
    }

    // MARK: the offer

    private func offer(_ envelope: Envelope, _ question: Question) -> Answer {
        guard case .object(let data) = envelope.data else {
            return .trouble(.unreadable("code 200 without data"))
        }
        func bad(_ name: String, _ wanted: String) -> Answer {
            .trouble(.unreadable("data.\(name) is \(data[name]?.kind ?? "missing"), not \(wanted)"))
        }
        guard let urlKey = data["urlKey"]?.string else { return bad("urlKey", "a string") }
        guard let versionCode = data["versionCode"]?.integer else { return bad("versionCode", "a whole number") }
        guard let urlPath = data["urlPath"]?.string else { return bad("urlPath", "a string") }
        guard let upgradeType = (data["upgradeType"] ?? .number(0)).integer else {
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
            return .offer(try Offer(fields, answering: question))
        } catch {
            return .refusedOffer(error)
        }
    }
}

/// The server's time where the reply shows that the request was signed with a clock more than a minute off.
public func clockCorrection(_ reply: HTTPReply, signedAt: WallTime) -> WallTime? {
    guard reply.status == 401, let time = reply.headers["date"].flatMap(HTTPDate.parse) else { return nil }
    return abs(time - signedAt) > 60 ? time : nil
}
