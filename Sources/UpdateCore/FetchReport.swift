// The reports of the fetch worker: lines of JSON on standard output. The last one is the result of the job.

public enum FetchReport: Codable, Hashable, Sendable {
    case checked(CheckReport)
    case reported(Delivery)
    case progress(DownloadProgress)
    case downloaded(DownloadResult, DownloadTraffic)
    case adopted(AdoptResult)
    case digest(String)
    case note(String)
}

public struct CheckReport: Codable, Hashable, Sendable {
    public var response: CheckResponse
    /// Set if the device's own clock is wrong.
    public var serverClock: ServerClock?
    /// The server's certificate has expired, or is not yet valid, by the device's own clock.
    public var isOutOfDate: Bool
    /// The server's `Date`, read without a trusted connection because ``isOutOfDate``: for messages only.
    public var serverTime: WallTime?

    public init(
        response: CheckResponse, serverClock: ServerClock? = nil, isOutOfDate: Bool = false, serverTime: WallTime? = nil
    ) {
        self.response = response
        self.serverClock = serverClock
        self.isOutOfDate = isOutOfDate
        self.serverTime = serverTime
    }

    /// Only the response is required: the worker may be another version's while the agent itself is updated.
    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        response = try fields.required(.response)
        serverClock = fields.optional(.serverClock)
        isOutOfDate = fields.value(.isOutOfDate, or: false)
        serverTime = fields.optional(.serverTime)
    }

    private enum CodingKeys: String, CodingKey { case response, serverClock, isOutOfDate, serverTime }
}

public enum CheckResponse: Codable, Hashable, Sendable {
    case offer(Offer)
    case refusedOffer(OfferRefusal)
    case latest
    case misconfigured(Misconfiguration)
    case transientError(TransientError)
}

/// The result of sending an event report.
public enum Delivery: Codable, Hashable, Sendable {
    case delivered
    case refused(Misconfiguration)
    case transientError(TransientError)
}

public struct DownloadProgress: Codable, Hashable, Sendable {
    /// Bytes.
    public var received: ByteCount
    /// Bytes; 0 if the server does not send the size.
    public var total: ByteCount
    /// Bytes per second, as a moving average.
    public var rate: ByteCount

    /// Each number is at most 2^50, so that no percentage overflows.
    public init(received: ByteCount, total: ByteCount, rate: ByteCount) {
        func bounded(_ number: ByteCount) -> ByteCount { max(0, min(number, 1 << 50)) }
        (self.received, self.total, self.rate) = (bounded(received), bounded(total), bounded(rate))
    }

    private enum CodingKeys: String, CodingKey { case received, total, rate }

    public init(from decoder: any Decoder) throws {
        let fields = try StoredFields(decoder, CodingKeys.self)
        self.init(
            received: try fields.required(.received), total: try fields.required(.total),
            rate: try fields.required(.rate))
    }
}

/// The end of a download. Only a verified file leads on; after every other end the offer stays, and the download is tried again.
public enum DownloadResult: Codable, Hashable, Sendable {
    case verified(Artifact)
    /// HTTP 404 or 410 for the file or its signature.
    case gone(String)
    /// What was received is not what was signed, or breaks a rule of the configuration.
    case refused(String, code: ReasonCode? = nil)
    case noSpace(String)
    case transientError(TransientError)
}

/// What a download cost.
public struct DownloadTraffic: Codable, Hashable, Sendable {
    /// Bytes of response bodies that were received.
    public var received: ByteCount
    /// The size of the file in bytes, as far as it is known; 0 if it is not.
    public var size: ByteCount

    public init(received: ByteCount = 0, size: ByteCount = 0) {
        self.received = received
        self.size = size
    }
}

public enum AdoptResult: Codable, Hashable, Sendable {
    case verified(Offer, Artifact)
    case refused(String)
}
