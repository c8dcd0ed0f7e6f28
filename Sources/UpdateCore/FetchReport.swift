// The reports of the fetch worker: lines of JSON on standard output. The last one is the result of the job.

public enum FetchReport: Codable, Hashable, Sendable {
    case checked(CheckReport)
    case reported(Delivery)
    case progress(DownloadProgress)
    case downloaded(DownloadResult)
    case adopted(AdoptResult)
    case digest(String)
    case note(String)
}

public struct CheckReport: Codable, Hashable, Sendable {
    public var response: CheckResponse
    /// Set if the device's own clock is wrong.
    public var serverClock: ServerClock?

    public init(response: CheckResponse, serverClock: ServerClock? = nil) {
        self.response = response
        self.serverClock = serverClock
    }
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
    public var received: Int
    /// Bytes; 0 if the server does not send the size.
    public var total: Int
    /// Bytes per second, as a moving average.
    public var rate: Int

    public init(received: Int, total: Int, rate: Int) {
        self.received = received
        self.total = total
        self.rate = rate
    }
}

public enum DownloadResult: Codable, Hashable, Sendable {
    case verified(Artifact)
    /// The server does not have the file or its signature.
    case gone(String)
    /// The verification failed, or the file is too large. This is counted against the version.
    case refused(String)
    case noSpace(String)
    case transientError(TransientError)
}

public enum AdoptResult: Codable, Hashable, Sendable {
    case verified(Offer, Artifact)
    case refused(String)
}
