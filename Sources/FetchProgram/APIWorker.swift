import Fetch
import Host
import UpdateCore
import UpgradeLinkAPI
import Verification

/// Signs API requests, sends them and decodes the replies.
struct APIWorker {
    private let reporter: Reporter
    private let cancellation: Cancellation

    init(_ reporter: Reporter, _ cancellation: Cancellation) {
        self.reporter = reporter
        self.cancellation = cancellation
    }

    /// Sends an update check. It stores a granted offer before it returns the report.
    func check(_ job: CheckJob) -> CheckReport {
        do throws(RequestError) {
            let bootID = try currentBootID()
            var clock = job.serverClock
            let body = upgradeBody(job.checkRequest)
            func exchange() throws(RequestError) -> (reply: HTTPReply, signedAt: WallTime) {
                let time = clock?.time(at: Clock.bootTime, bootID: bootID) ?? Clock.wallTime
                let reply = try post(
                    RequestSigner.upgradePath, body, job.server, job.credentials, signedAt: time)
                return (reply, time)
            }
            var (reply, signedAt) = try exchange()
            if let serverTime = clockCorrection(reply, signedAt: signedAt) {
                clock = ServerClock(bootID: bootID, atBoot: serverTime.unixSeconds - Clock.bootTime.seconds)
                (reply, _) = try exchange()
            }
            var response = ReplyDecoder(now: Clock.wallTime).response(reply, to: job.checkRequest)
            if case .offer(let offer) = response { response = .offer(keep(offer, in: Inbox(job.inbox))) }
            return CheckReport(response: response, serverClock: clock == job.serverClock ? nil : clock)
        } catch {
            var report = CheckReport(response: .transientError(error.transientError), isOutOfDate: error.isOutOfDate)
            if error.isOutOfDate {
                report.serverTime = HTTPClient(job.server, cancellation: cancellation).untrustedDate(of: job.server.url)
                    .flatMap(HTTPDate.parse)
            }
            return report
        }
    }

    /// Stores the offer. If that fails, the agent gets the offer all the same, and keeps it until it can store it.
    private func keep(_ offer: Offer, in inbox: Inbox) -> Offer {
        do {
            return try inbox.store(offer)
        } catch {
            reporter.send(.note("The offer of \(offer.title) cannot be stored yet: \(error)"))
            return offer
        }
    }

    func report(_ job: ReportJob) -> Delivery {
        do throws(RequestError) {
            let time = job.serverClock?.time(at: Clock.bootTime, bootID: try currentBootID()) ?? Clock.wallTime
            let reply = try post(
                RequestSigner.reportPath, reportBody(job), job.server, job.credentials, signedAt: time)
            return ReplyDecoder(now: Clock.wallTime).delivery(reply)
        } catch {
            return .transientError(error.transientError)
        }
    }

    private func post(
        _ path: String, _ body: [UInt8], _ server: ServerConnection, _ credentials: Credentials, signedAt time: WallTime
    ) throws(RequestError) -> HTTPReply {
        let signer = RequestSigner(credentials: credentials) { Digest.hex(.md5, of: $0) }
        // server.signingPath names the path of the update check as the server sees it. Reports use the same prefix.
        let prefix = server.signingPath.map {
            $0.hasSuffix(RequestSigner.upgradePath) ? String($0.dropLast(RequestSigner.upgradePath.count)) : $0
        }
        let base = server.url.hasSuffix("/") ? String(server.url.dropLast()) : server.url
        let urlPath = (WebURL(base)?.path ?? "/") == "/" ? path : (WebURL(base)?.path ?? "") + path
        let request = signer.sign(
            path: urlPath, signedPath: prefix.map { $0 + path }, body: body, at: time, nonce: RequestSigner.makeNonce())
        return try HTTPClient(server, cancellation: cancellation).post(
            base + path, headers: request.headers, body: request.body, limit: ReplyDecoder.maximumBodyBytes)
    }

    private func currentBootID() throws(RequestError) -> String {
        do throws(SystemError) {
            return try Clock.bootID()
        } catch {
            throw RequestError(transientError: .worker("\(error)"))
        }
    }
}

func sha256(_ text: String) -> String { Digest.hex(.sha256, of: Array(text.utf8)) }
