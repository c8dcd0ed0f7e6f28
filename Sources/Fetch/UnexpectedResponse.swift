public import UpdateCore

// Names what was received instead of a file, so that the operator knows where to look.

/// What a response is, seen from its status.
///
/// - Parameter name: "file" or "signature".
public func describeStatus(_ reply: HTTPReply, of name: String) -> String {
    let status = "HTTP \(reply.status) for the \(name)"
    if reply.requiresClientCertificate { return "\(status): \(HTTPReply.clientCertificateLine)" }
    switch reply.status {
    case 401: return "\(status): its host requires a login"
    case 403: return "\(status): access is denied; has the address expired?"
    case 404, 410:
        return "\(status): it is not there; publish the file and its signature at the address that the server offers"
    case 407: return "\(status): \(HTTPReply.proxyLine)"
    case 511: return "\(status): the network requires a login (captive portal)"
    default: return "\(status), which is no file"
    }
}

/// What content is that is not what was expected; nil if that is not known.
///
/// - Parameters:
///   - start: the first bytes of the content.
///   - name: "file" or "signature".
public func describeContent(_ start: [UInt8], _ headers: [String: String], of name: String) -> String? {
    if start.isEmpty { return "got an empty \(name)" }
    if isWebPage(start, headers) {
        return "got a web page instead of the \(name): captive portal or filter?"
    }
    let encoding = headers["content-encoding"]?.lowercased() ?? "identity"
    if encoding != "identity" {
        return "got a compressed \(name) (Content-Encoding: \(encoding.sanitized(limit: 40))), which was not requested"
    }
    return name == "signature" && start.starts(with: HTTPReply.gzipMark) ? "got a compressed signature" : nil
}

/// How content begins, if that is text: a filter's message, for example.
///
/// - Returns: a part of a sentence, or the empty string.
public func beginning(_ start: [UInt8]) -> String {
    let first = start.prefix(200)
    guard !first.isEmpty, first.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || (0x09...0x0D).contains($0) }) else {
        return ""
    }
    return "; it begins with \"\(String(decoding: first, as: UTF8.self).sanitized(limit: 60))\""
}

/// Whether content is HTML or XML, as error pages are, by its start or by its label.
public func isWebPage(_ start: [UInt8], _ headers: [String: String]) -> Bool {
    let text = String(decoding: start, as: UTF8.self).withoutByteOrderMark.lowercased().drop(
        while: \.isWhitespace)
    let tags = ["<!doctype", "<html", "<head", "<script", "<meta", "<title", "<body", "<!--", "<?xml"]
    if tags.contains(where: text.hasPrefix) {
        return true
    }
    return text.hasPrefix("<") && headers["content-type"]?.lowercased().contains("text/html") == true
}
