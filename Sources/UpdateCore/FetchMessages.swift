// The messages between the agent and its processes. Each is one line of JSON on a pipe, at most
// `maximumMessageBytes` long.

/// Longer lines are refused by whoever reads them.
public let maximumMessageBytes = 256 * 1024

// MARK: to the fetch worker

/// How to reach a server.
public struct ServerConnection: Codable, Hashable, Sendable {
    public var url: String
    /// The path that is signed, where a reverse proxy makes it differ from the path in the URL.
    public var signingPath: String?
    public var caBundle: String?
    public var clientCertificate: String?
    public var clientKey: String?
    public var proxy: String?
    public var connectTimeout: Seconds
    public var requestTimeout: Seconds

    public init(
        url: String, signingPath: String? = nil, caBundle: String? = nil, clientCertificate: String? = nil,
        clientKey: String? = nil, proxy: String? = nil, connectTimeout: Seconds, requestTimeout: Seconds
    ) {
        self.url = url
        self.signingPath = signingPath
        self.caBundle = caBundle
        self.clientCertificate = clientCertificate
        self.clientKey = clientKey
        self.proxy = proxy
        self.connectTimeout = connectTimeout
        self.requestTimeout = requestTimeout
    }
}

/// A value that must not be seen: it prints as `***`. Only its coded form, on a pipe to a worker, carries it.
public struct Secret: Codable, Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    public let value: String

    public init(_ value: String) { self.value = value }

    public init(from decoder: any Decoder) throws {
        value = try decoder.singleValueContainer().decode(String.self)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(value)
    }

    public var description: String { "***" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

public struct Credentials: Codable, Hashable, Sendable {
    public var accessKey: String
    public var secretKey: Secret

    public init(accessKey: String, secretKey: Secret) {
        self.accessKey = accessKey
        self.secretKey = secretKey
    }
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

/// How an artifact is proved genuine.
public struct VerificationPolicy: Codable, Hashable, Sendable {
    public enum Mode: String, Codable, CaseIterable, Sendable {
        /// A minisign signature over the file, and over a comment that names the version.
        case minisign
        /// A SHA-256 digest beside the file, believed because it came over https.
        case sha256
        /// Nothing but https.
        case none
    }

    public var mode: Mode
    /// minisign public keys, each the base64 line of a `.pub` file.
    public var keys: [String]
    /// Where the signature or digest is, with `{url}` for the artifact's address.
    public var sidecarURL: String
    /// Refuse a signature whose trusted comment does not name a versionCode.
    public var requireVersionCode: Bool

    public init(mode: Mode, keys: [String], sidecarURL: String, requireVersionCode: Bool) {
        self.mode = mode
        self.keys = keys
        self.sidecarURL = sidecarURL
        self.requireVersionCode = requireVersionCode
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

/// What a download leaves to the rest of the box.
public struct DownloadCourtesy: Codable, Hashable, Sendable {
    public enum IOClass: String, Codable, CaseIterable, Sendable {
        /// The disk when nobody else wants it (ioprio_set(2)); for schedulers that know of classes, such as BFQ.
        case idle
        case bestEffort = "best-effort"
    }

    public var ioClass: IOClass
    /// From 0 to 19, as of nice(1).
    public var nice: Int
    /// Bytes after which what came is written to the disk, steadily; 0 leaves it to the kernel.
    public var flushEvery: Int
    /// Leave what came in the page cache, where it may take the place of what the box works with.
    public var keepCache: Bool

    public init(ioClass: IOClass, nice: Int, flushEvery: Int, keepCache: Bool) {
        self.ioClass = ioClass
        self.nice = nice
        self.flushEvery = flushEvery
        self.keepCache = keepCache
    }
}

public enum FetchJob: Codable, Hashable, Sendable {
    case ask(AskJob)
    case report(ReportJob)
    case download(DownloadJob)
    case adopt(AdoptJob)
    /// SHA-256 of a text, in hex: the agent itself has no cryptography linked.
    case digest(String)
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

public enum AdoptResult: Codable, Hashable, Sendable {
    case verified(Offer, Artifact)
    case refused(String)
}

// MARK: from the fetch worker

/// What stood in the way of a request, none of it the update's fault.
public enum Trouble: Error, Codable, Hashable, Sendable {
    case rateLimited(retryAfter: Seconds?)
    case server(status: Int, detail: String, retryAfter: Seconds?)
    case network(String)
    case tls(String)
    /// A reply that is not the contract's.
    case unreadable(String)
    /// The worker itself failed.
    case worker(String)

    public var retryAfter: Seconds? {
        switch self {
        case .rateLimited(let seconds), .server(_, _, let seconds): seconds
        case .network, .tls, .unreadable, .worker: nil
        }
    }
}

/// What only the operator can mend: wrong keys, wrong names, an application the server does not know.
public struct Misconfiguration: Codable, Hashable, Sendable {
    public var status: Int
    public var code: Int
    public var message: String
    public var traceID: String?

    public init(status: Int, code: Int, message: String, traceID: String?) {
        self.status = status
        self.code = code
        self.message = message
        self.traceID = traceID
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

public struct AskReport: Codable, Hashable, Sendable {
    public var answer: Answer
    /// Set where the box's own clock proved wrong.
    public var serverClock: ServerClock?

    public init(answer: Answer, serverClock: ServerClock? = nil) {
        self.answer = answer
        self.serverClock = serverClock
    }
}

/// A downloaded and verified file in the staging folder.
public struct Artifact: Codable, Hashable, Sendable {
    public var path: String
    /// The signature or digest file that came with it, where the mode has one.
    public var sidecarPath: String?
    public var size: Int

    public init(path: String, sidecarPath: String?, size: Int) {
        self.path = path
        self.sidecarPath = sidecarPath
        self.size = size
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

public enum FetchReport: Codable, Hashable, Sendable {
    case asked(AskReport)
    case reported(Delivery)
    case progress(DownloadProgress)
    case downloaded(DownloadResult)
    case adopted(AdoptResult)
    case digest(String)
    case note(String)
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

// MARK: staging

/// What may follow `<versionCode>.` in the staging folder: the agent removes such files of other versions.
public let stagingSuffixes = ["part", "part.json", "part.json.new", "artifact", "sidecar", "sidecar.new"]
