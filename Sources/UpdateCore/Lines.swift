// One line for each error, so that the operator can act on it.

extension TransientError {
    public var line: String {
        switch self {
        case .rateLimited: "the server's rate limit is reached (HTTP 429)"
        case .server(let status, let detail, _):
            "the server responded with HTTP \(status)" + (detail.isEmpty ? "" : " (\(detail))")
        case .network(let text): "the server cannot be reached: \(text)"
        case .tls(let text): "no trusted connection to the server: \(text)"
        case .unreadable(let text): "the server's reply makes no sense: \(text)"
        case .worker(let text): "the fetch worker failed: \(text)"
        case .file(let text, _, _): text
        }
    }
}

extension Misconfiguration {
    public var line: String {
        if message == HTTPReply.clientCertificateLine || message == HTTPReply.proxyLine {
            return "the server refuses this device: HTTP \(status), \(message)"
        }
        let remedy =
            switch status {
            case 400: "check [device] and the server's URL"
            case 401: "check the access key and the secret key in [credentials], and server.signingPath"
            case 404: "check device.urlKey and server.url"
            default: "check the configuration"
            }
        let trace = traceID.map { ", traceId \($0)" } ?? ""
        return "the server refuses this device: HTTP \(status), code \(code) \"\(message)\"\(trace); \(remedy)"
    }
}

extension Work.RetryReason {
    public var line: String {
        switch self {
        case .transientError(let transientError): transientError.line
        case .noSpace(let text): text
        case .noKeys:
            "nothing is installed without a key to verify it: put the publisher's minisign public key into "
                + "verification.keys or the directory verification.keysDirectory, and reload"
        case .failed(let reason): reason
        case .cancelled: "cancelled"
        case .interrupted(let reason): "the installation was interrupted: \(reason)"
        case .rebootRefused(_, let reason): "the device cannot be rebooted: \(reason)"
        case .installerLost(_, let reason): "the installer did not finish: \(reason)"
        }
    }
}
