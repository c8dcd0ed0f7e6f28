// What the agent sends to the fetch worker: a line of JSON on standard input, at most `maximumMessageBytes` long, and further
// lines while a download runs.

/// Longer lines are refused by whoever reads them.
public let maximumMessageBytes = 256 * 1024

public enum FetchJob: Codable, Hashable, Sendable {
    case ask(AskJob)
    case report(ReportJob)
    case download(DownloadJob)
    case adopt(AdoptJob)
    /// SHA-256 of a text, in hex: the agent itself has no cryptography linked.
    case digest(String)
}

public struct AskJob: Codable, Hashable, Sendable {
    public var server: ServerConnection
    public var credentials: Credentials
    public var question: Question
    public var serverClock: ServerClock?
    /// Where the worker stores a granted offer before it speaks of it.
    public var inbox: String

    public init(
        server: ServerConnection, credentials: Credentials, question: Question, serverClock: ServerClock?,
        inbox: String
    ) {
        self.server = server
        self.credentials = credentials
        self.question = question
        self.serverClock = serverClock
        self.inbox = inbox
    }
}

public struct ReportJob: Codable, Hashable, Sendable {
    public var server: ServerConnection
    public var credentials: Credentials
    public var serverClock: ServerClock?
    public var urlKey: String
    public var devModelKey: String?
    public var devKey: String?
    public var report: Report

    public init(
        server: ServerConnection, credentials: Credentials, serverClock: ServerClock?, urlKey: String,
        devModelKey: String?, devKey: String?, report: Report
    ) {
        self.server = server
        self.credentials = credentials
        self.serverClock = serverClock
        self.urlKey = urlKey
        self.devModelKey = devModelKey
        self.devKey = devKey
        self.report = report
    }
}

public struct DownloadJob: Codable, Hashable, Sendable {
    public var offer: Offer
    public var devModelKey: String?
    /// Reaching the artifact's host: its `url` is not used.
    public var connection: ServerConnection
    public var folder: String
    /// Bytes per second; 0 is no limit.
    public var speedLimit: Int
    public var sizeLimit: Int
    /// Bytes that must stay free on the file system.
    public var keepFree: Int
    /// Slower than this many bytes per second for `lowSpeedTime` ends the attempt.
    public var lowSpeed: Int
    public var lowSpeedTime: Seconds
    public var verification: VerificationPolicy
    public var courtesy: DownloadCourtesy

    public init(
        offer: Offer, devModelKey: String?, connection: ServerConnection, folder: String, speedLimit: Int,
        sizeLimit: Int, keepFree: Int, lowSpeed: Int, lowSpeedTime: Seconds, verification: VerificationPolicy,
        courtesy: DownloadCourtesy
    ) {
        self.offer = offer
        self.devModelKey = devModelKey
        self.connection = connection
        self.folder = folder
        self.speedLimit = speedLimit
        self.sizeLimit = sizeLimit
        self.keepFree = keepFree
        self.lowSpeed = lowSpeed
        self.lowSpeedTime = lowSpeedTime
        self.verification = verification
        self.courtesy = courtesy
    }
}

/// What a download is told while it runs.
public enum DownloadOrder: Codable, Hashable, Sendable {
    /// Bytes per second; 0 is no limit.
    case limitSpeed(Int)
}

/// A local file that somebody wants installed: its signature says what it is.
public struct AdoptJob: Codable, Hashable, Sendable {
    /// For people.
    public var name: String
    /// Where it is, with its signature beside it as `PATH.minisig`; nil where both are handed over open, as the worker's
    /// descriptors 3 and 4.
    public var path: String?
    public var urlKey: String
    public var devModelKey: String?
    public var folder: String
    public var sizeLimit: Int
    public var keepFree: Int
    public var verification: VerificationPolicy

    public init(
        name: String, path: String?, urlKey: String, devModelKey: String?, folder: String, sizeLimit: Int,
        keepFree: Int, verification: VerificationPolicy
    ) {
        self.name = name
        self.path = path
        self.urlKey = urlKey
        self.devModelKey = devModelKey
        self.folder = folder
        self.sizeLimit = sizeLimit
        self.keepFree = keepFree
        self.verification = verification
    }
}
