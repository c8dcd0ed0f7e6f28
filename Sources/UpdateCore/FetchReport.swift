// What the fetch worker sends back: lines of JSON on standard output, the last of which says what became of the job.

public enum FetchReport: Codable, Hashable, Sendable {
    case asked(AskReport)
    case reported(Delivery)
    case progress(DownloadProgress)
    case downloaded(DownloadResult)
    case adopted(AdoptResult)
    case digest(String)
    case note(String)
}

public struct AskReport: Codable, Hashable, Sendable {
    public var answer: Answer
    /// Set where the box's own clock proved wrong.
    public var serverClock: ServerClock?

    public init(answer: Answer, serverClock: ServerClock? = nil) {
        self.answer = answer
        self.serverClock = serverClock
    }
}

public enum Answer: Codable, Hashable, Sendable {
    case offer(Offer)
    case refusedOffer(OfferRefusal)
    case latest
    case misconfigured(Misconfiguration)
    case trouble(Trouble)
}

/// What became of an event report.
public enum Delivery: Codable, Hashable, Sendable {
    case delivered
    case refused(Misconfiguration)
    case trouble(Trouble)
}

public struct DownloadProgress: Codable, Hashable, Sendable {
    public var received: Int
    /// 0 where the server does not say.
    public var total: Int
    /// Bytes per second, of late.
    public var rate: Int

    public init(received: Int, total: Int, rate: Int) {
        self.received = received
        self.total = total
        self.rate = rate
    }
}

public enum DownloadResult: Codable, Hashable, Sendable {
    case verified(Artifact)
    /// The server says that the file, or its signature, is not to be had.
    case gone(String)
    /// The file is not what was signed, or must not be taken: counted against the version.
    case refused(String)
    case noSpace(String)
    case trouble(Trouble)
}

public enum AdoptResult: Codable, Hashable, Sendable {
    case verified(Offer, Artifact)
    case refused(String)
}
