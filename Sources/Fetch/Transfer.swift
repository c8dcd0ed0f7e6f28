import CCurl
import Synchronization
public import UpdateCore

/// Cancels a transfer, which then ends within about a second.
public final class Cancellation: Sendable {
    private let flag = Atomic(false)

    public init() {}

    public func cancel() { flag.store(true, ordering: .relaxed) }
    public var isCancelled: Bool { flag.load(ordering: .relaxed) }
}

/// A limit in bytes per second, 0 for none. It may change while a transfer runs.
public final class SpeedLimit: Sendable {
    private let value: Atomic<ByteCount>

    public init(_ bytesPerSecond: ByteCount) { value = Atomic(bytesPerSecond) }

    public func set(_ bytesPerSecond: ByteCount) { value.store(bytesPerSecond, ordering: .relaxed) }
    var bytesPerSecond: ByteCount { value.load(ordering: .relaxed) }
}

/// One HTTP exchange by libcurl's easy interface (libcurl-easy(3)). It does not follow redirects, because the caller has rules
/// for them (``RedirectTrail``).
struct Transfer {
    struct Limits {
        var connectTimeout: Seconds
        /// For the whole exchange; 0 for no limit.
        var totalTimeout: Seconds = 0
        var speedLimit = SpeedLimit(0)
        /// A transfer that is slower than this many bytes per second for ``lowSpeedTime`` fails; 0 for no limit.
        var lowSpeed: ByteCount = 0
        var lowSpeedTime: Seconds = 0
        /// Accept every certificate. Nothing that is received then can be relied on.
        var trustsAnyone = false
    }

    /// An error of libcurl.
    struct CurlError: Error {
        var code: CURLcode
        var text: String
        /// The status of a proxy's response to CONNECT; 0 if there was none.
        var proxyStatus = 0
        /// The certificate has expired, or is not yet valid.
        var isOutOfDate = false
    }

    enum Failure: Error {
        case curl(CurlError)
        case cancelled
        /// `onHead` or `onBody` ended the transfer, or the head was too long.
        case stopped
    }

    var connection: ServerConnection
    var limits: Limits
    var cancellation: Cancellation

    /// - Parameters:
    ///   - onHead: called with the status and headers before the first byte of the body; false ends the transfer.
    ///   - onBody: called with each piece of the body; false ends the transfer.
    /// - Returns: the head of the reply.
    func perform(
        _ url: String, headers: [(name: String, value: String)] = [], post body: [UInt8]? = nil,
        onHead: (HTTPReply) -> Bool, onBody: (RawSpan) -> Bool
    ) throws(Failure) -> HTTPReply {
        guard let handle = curl_easy_init() else {
            throw .curl(CurlError(code: CURLE_FAILED_INIT, text: HTTPLibrary.problem ?? "libcurl cannot start"))
        }
        defer { curl_easy_cleanup(handle) }

        // A line break in a value would begin another header, chosen by the value.
        for (name, value) in headers where value.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
            throw .curl(
                CurlError(
                    code: CURLE_BAD_FUNCTION_ARGUMENT, text: "the value for \(name) contains a control character"))
        }

        var list: UnsafeMutablePointer<curl_slist>?
        defer { curl_slist_free_all(list) }
        // Without "Expect: 100-continue", which costs a second with servers that ignore it. Compression would hide the bytes
        // that were signed.
        for header in headers + [(name: "Expect", value: ""), (name: "Accept-Encoding", value: "identity")] {
            list = curl_slist_append(list, "\(header.name):" + (header.value.isEmpty ? "" : " \(header.value)"))
        }
        configure(handle, url)
        upgradelink_set_pointer(handle, CURLOPT_HTTPHEADER, list)

        var message = [CChar](repeating: 0, count: Int(CURL_ERROR_SIZE))
        return try message.withUnsafeMutableBufferPointer { message throws(Failure) in
            upgradelink_set_pointer(handle, CURLOPT_ERRORBUFFER, message.baseAddress)
            return try withoutActuallyEscaping(onHead) { onHead throws(Failure) in
                try withoutActuallyEscaping(onBody) { onBody throws(Failure) in
                    var pace = Pace()
                    let receiver = Receiver(onHead, { take($0, &pace, onBody) }) {
                        expectSpeed(handle)
                        return !cancellation.isCancelled
                    }
                    return try perform(handle, receiver, body, message)
                }
            }
        }
    }

    /// Passes bytes on at the speed limit.
    private func take(_ bytes: RawSpan, _ pace: inout Pace, _ onBody: (RawSpan) -> Bool) -> Bool {
        var rest = bytes
        while rest.byteCount > 0 {
            let count = min(rest.byteCount, Pace.piece(of: limits.speedLimit.bytesPerSecond))
            guard onBody(rest.extracting(first: count)) else { return false }
            pace.wait(for: count, limits.speedLimit) { !cancellation.isCancelled }
            rest = rest.extracting(droppingFirst: count)
        }
        return true
    }

    private func perform(
        _ handle: UnsafeMutableRawPointer, _ receiver: Receiver, _ body: [UInt8]?,
        _ message: UnsafeMutableBufferPointer<CChar>
    ) throws(Failure) -> HTTPReply {
        let context = Unmanaged.passUnretained(receiver).toOpaque()
        upgradelink_set_pointer(handle, CURLOPT_WRITEDATA, context)
        upgradelink_set_pointer(handle, CURLOPT_HEADERDATA, context)
        upgradelink_set_pointer(handle, CURLOPT_XFERINFODATA, context)
        upgradelink_set_data_callback(handle, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
            let wanted =
                Receiver.at(context)?.header(UnsafeRawBufferPointer(start: bytes, count: size * count)) ?? false
            return wanted ? size * count : 0
        }
        upgradelink_set_data_callback(handle, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
            let wanted = Receiver.at(context)?.body(UnsafeRawBufferPointer(start: bytes, count: size * count)) ?? false
            return wanted ? size * count : 0
        }
        upgradelink_set_progress_callback(handle, CURLOPT_XFERINFOFUNCTION) { context, _, _, _, _ in
            Receiver.at(context)?.shouldContinue() == true ? 0 : 1
        }
        upgradelink_set_long(handle, CURLOPT_NOPROGRESS, 0)

        let code = withExtendedLifetime(receiver) {
            guard let body else { return curl_easy_perform(handle) }
            return body.withUnsafeBytes { bytes in
                upgradelink_set_long(handle, CURLOPT_POST, 1)
                upgradelink_set_offset(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(bytes.count))
                upgradelink_set_pointer(
                    handle, CURLOPT_POSTFIELDS, UnsafeMutableRawPointer(mutating: bytes.baseAddress))
                return curl_easy_perform(handle)
            }
        }
        if cancellation.isCancelled, code != CURLE_OK { throw .cancelled }
        if receiver.wantsNoMore { throw .stopped }
        guard code == CURLE_OK else {
            let detail = String(
                decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            // 9 and 10: X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED (X509_STORE_CTX_get_error(3)).
            let verification = upgradelink_get_long(handle, CURLINFO_SSL_VERIFYRESULT)
            throw .curl(
                CurlError(
                    code: code, text: detail.isEmpty ? String(cString: curl_easy_strerror(code)) : detail,
                    proxyStatus: upgradelink_get_long(handle, CURLINFO_HTTP_CONNECTCODE),
                    isOutOfDate: verification == 9 || verification == 10))
        }
        guard receiver.hasWholeHead else {
            throw .curl(CurlError(code: CURLE_GOT_NOTHING, text: "the connection ended within the reply's head"))
        }
        receiver.finishHead()
        if receiver.wantsNoMore { throw .stopped }
        return receiver.head
    }

    private func configure(_ handle: UnsafeMutableRawPointer, _ url: String) {
        upgradelink_set_string(handle, CURLOPT_URL, url)
        // One connection serves a signature and its file, or a request that is sent again.
        if !limits.trustsAnyone { upgradelink_set_pointer(handle, CURLOPT_SHARE, upgradelink_share()) }
        upgradelink_set_string(handle, CURLOPT_PROTOCOLS_STR, "http,https")
        upgradelink_set_string(handle, CURLOPT_USERAGENT, "upgradelinkd")
        upgradelink_set_long(handle, CURLOPT_NOSIGNAL, 1)
        upgradelink_set_long(handle, CURLOPT_FOLLOWLOCATION, 0)
        // A small buffer keeps a slow download even on the network too.
        upgradelink_set_long(handle, CURLOPT_BUFFERSIZE, limits.speedLimit.bytesPerSecond > 0 ? 16 * 1024 : 512 * 1024)
        upgradelink_set_long(handle, CURLOPT_TCP_KEEPALIVE, 1)
        upgradelink_set_long(handle, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(limits.connectTimeout))
        upgradelink_set_long(handle, CURLOPT_TIMEOUT_MS, milliseconds(limits.totalTimeout))
        expectSpeed(handle)
        upgradelink_set_long(handle, CURLOPT_LOW_SPEED_TIME, CLong(min(max(limits.lowSpeedTime, 0), 1e6)))
        upgradelink_set_long(handle, CURLOPT_SSLVERSION, CLong(CURL_SSLVERSION_TLSv1_2))
        if limits.trustsAnyone {
            upgradelink_set_long(handle, CURLOPT_SSL_VERIFYPEER, 0)
            upgradelink_set_long(handle, CURLOPT_SSL_VERIFYHOST, 0)
        }
        let files: [(CURLoption, String?)] = [
            (CURLOPT_CAINFO, connection.caBundle), (CURLOPT_SSLCERT, connection.clientCertificate),
            (CURLOPT_SSLKEY, connection.clientKey), (CURLOPT_PROXY, connection.proxy?.text),
        ]
        for case (let option, let value?) in files { upgradelink_set_string(handle, option, value) }
    }

    /// Keeps the low-speed limit below the speed limit, so that a limited download does not count as a slow one.
    private func expectSpeed(_ handle: UnsafeMutableRawPointer) {
        let limit = limits.speedLimit.bytesPerSecond
        upgradelink_set_long(
            handle, CURLOPT_LOW_SPEED_LIMIT,
            CLong(clamping: limit > 0 ? min(limits.lowSpeed, limit / 2) : limits.lowSpeed))
    }

    private func milliseconds(_ seconds: Seconds) -> CLong { CLong(min(max(seconds, 0), 1e6) * 1000) }
}

/// Receives the data of libcurl's callbacks.
private final class Receiver {
    private(set) var head = HTTPReply(status: 0)
    private(set) var wantsNoMore = false
    private var headIsDone = false
    /// Whether the empty line at the end of the head has come. If a connection ends before it, libcurl accepts the headers so
    /// far, and the last one may be cut off: a length, for example.
    private(set) var hasWholeHead = false
    private var headBytes = 0
    private static let headLimit = 300 * 1024
    private let onHead: (HTTPReply) -> Bool
    private let onBody: (RawSpan) -> Bool
    /// Called by libcurl about once a second or more often; false ends the transfer.
    let shouldContinue: () -> Bool

    init(
        _ onHead: @escaping (HTTPReply) -> Bool, _ onBody: @escaping (RawSpan) -> Bool,
        _ shouldContinue: @escaping () -> Bool
    ) {
        self.onHead = onHead
        self.onBody = onBody
        self.shouldContinue = shouldContinue
    }

    /// The receiver behind libcurl's user pointer. `Transfer.perform` keeps it alive until libcurl returns.
    static func at(_ context: UnsafeMutableRawPointer?) -> Receiver? {
        context.map { Unmanaged<Receiver>.fromOpaque($0).takeUnretainedValue() }
    }

    /// - Returns: false to end the transfer.
    func header(_ bytes: UnsafeRawBufferPointer) -> Bool {
        // libcurl limits single headers to 100 KiB. It does not limit their number (before 8.3) or that of interim replies.
        headBytes += bytes.count
        guard headBytes < Self.headLimit else {
            wantsNoMore = true
            return false
        }
        let line = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).first ?? ""
        if line.hasPrefix("HTTP/") {
            // An interim reply (1xx) or the reply of a proxy may precede the final reply.
            let words = line.split(separator: " ")
            head = HTTPReply(status: words.count > 1 ? Int(words[1]) ?? 0 : 0)
            head.version = String(words.first ?? "")
            hasWholeHead = false
            return true
        }
        if line.isEmpty {
            hasWholeHead = true
            return true
        }
        guard let colon = line.firstIndex(of: ":") else { return true }
        let name = line[..<colon].lowercased()
        let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
        head.headers[name] = name == "location" ? Self.location(bytes) : String(value)
        return true
    }

    /// The value of a header `Location`. Its bytes may be in any character set, so those that are not ASCII are
    /// percent-encoded one by one.
    private static func location(_ line: UnsafeRawBufferPointer) -> String {
        let value = line.drop { $0 != UInt8(ascii: ":") }.dropFirst().filter { $0 != 0x0A && $0 != 0x0D }
        return value.map { byte in
            byte < 0x80 ? String(UnicodeScalar(byte)) : "%" + String(byte, radix: 16, uppercase: true)
        }.joined()
    }

    func finishHead() {
        guard !headIsDone else { return }
        headIsDone = true
        if !onHead(head) { wantsNoMore = true }
    }

    func body(_ bytes: UnsafeRawBufferPointer) -> Bool {
        finishHead()
        if wantsNoMore { return false }
        if !onBody(bytes.bytes) { wantsNoMore = true }
        return !wantsNoMore
    }
}
