// The jobs of the fetch worker. The agent sends one as a line of JSON on standard input, at most `maximumMessageBytes` long.
// While a download runs, it sends further lines (`DownloadControl`).

/// The receiver of a message refuses a longer line.
public let maximumMessageBytes = 256 * 1024

public enum FetchJob: Codable, Hashable, Sendable {
    case check(CheckJob)
    case report(ReportJob)
    case download(DownloadJob)
    case adopt(AdoptJob)
    /// Compute the SHA-256 digest of a text, because the agent itself links no cryptography.
    case digest(String)
}

public struct CheckJob: Codable, Hashable, Sendable {
    public var server: ServerConnection
    public var credentials: Credentials
    public var checkRequest: CheckRequest
    public var serverClock: ServerClock?
    /// The file in which the worker stores a granted offer before it reports the offer.
    public var inbox: String

    public init(
        server: ServerConnection, credentials: Credentials, checkRequest: CheckRequest, serverClock: ServerClock?,
        inbox: String
    ) {
        self.server = server
        self.credentials = credentials
        self.checkRequest = checkRequest
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
    /// How to reach the artifact's host; its `url` is not used.
    public var connection: ServerConnection
    public var directory: String
    /// Bytes per second; 0 is no limit.
    public var speedLimit: ByteCount
    /// Bytes; a larger file is refused.
    public var sizeLimit: ByteCount
    /// Bytes that must stay free on the file system.
    public var keepFree: ByteCount
    /// The attempt ends if it is slower than this many bytes per second for `lowSpeedTime`.
    public var lowSpeed: ByteCount
    public var lowSpeedTime: Seconds
    public var verification: VerificationPolicy
    public var priority: DownloadPriority
    /// What the installation will need; nil if that is not known.
    public var space: [SpaceNeed]?

    public init(
        offer: Offer, devModelKey: String?, connection: ServerConnection, directory: String, speedLimit: ByteCount,
        sizeLimit: ByteCount, keepFree: ByteCount, lowSpeed: ByteCount, lowSpeedTime: Seconds,
        verification: VerificationPolicy,
        priority: DownloadPriority
    ) {
        self.offer = offer
        self.devModelKey = devModelKey
        self.connection = connection
        self.directory = directory
        self.speedLimit = speedLimit
        self.sizeLimit = sizeLimit
        self.keepFree = keepFree
        self.lowSpeed = lowSpeed
        self.lowSpeedTime = lowSpeedTime
        self.verification = verification
        self.priority = priority
    }
}

/// A change to a running download.
public enum DownloadControl: Codable, Hashable, Sendable {
    /// Bytes per second; 0 is no limit.
    case limitSpeed(ByteCount)
}

/// A local file to verify and stage. Its signature says which version it is.
public struct AdoptJob: Codable, Hashable, Sendable {
    /// The name that is shown to the user.
    public var name: String
    /// The path of the file; its signature is `PATH.minisig`. Nil if the worker gets both as open files, its descriptors 3
    /// and 4.
    public var path: String?
    public var urlKey: String
    public var devModelKey: String?
    public var directory: String
    public var sizeLimit: ByteCount
    public var keepFree: ByteCount
    public var verification: VerificationPolicy

    public init(
        name: String, path: String?, urlKey: String, devModelKey: String?, directory: String, sizeLimit: ByteCount,
        keepFree: ByteCount, verification: VerificationPolicy
    ) {
        self.name = name
        self.path = path
        self.urlKey = urlKey
        self.devModelKey = devModelKey
        self.directory = directory
        self.sizeLimit = sizeLimit
        self.keepFree = keepFree
        self.verification = verification
    }
}
