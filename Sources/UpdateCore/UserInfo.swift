// The user and the password in a URL (RFC 3986, section 3.2.1) are secrets: messages show `***` instead.

extension String {
    /// This text with `***` instead of the user and the password of each URL in it. A text that only resembles a URL may lose
    /// more: everything from `://` to the last `@` before a blank.
    public var withoutUserInfo: String {
        let mark = Array("://".utf8)
        let bytes = Array(utf8)
        var shown: [UInt8] = []
        var index = 0
        while index < bytes.count {
            guard bytes[index...].starts(with: mark) else {
                shown.append(bytes[index])
                index += 1
                continue
            }
            shown += mark
            index += mark.count
            let end: Int = bytes[index...].firstIndex { $0 <= 0x20 } ?? bytes.count
            guard let at = bytes[index..<end].lastIndex(of: UInt8(ascii: "@")) else { continue }
            shown += Array("***".utf8)
            index = at
        }
        return String(decoding: shown, as: UTF8.self)
    }

    /// This text with each `%XX` replaced by its octet (RFC 3986, section 2.1). Another percent sign stays.
    var percentDecoded: String {
        let bytes = Array(utf8)
        var decoded: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count, bytes[index + 1].isHexDigit,
                bytes[index + 2].isHexDigit,
                let octet = UInt8(String(decoding: bytes[(index + 1)...(index + 2)], as: UTF8.self), radix: 16)
            {
                decoded.append(octet)
                index += 3
            } else {
                decoded.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: decoded, as: UTF8.self)
    }
}

/// The user and the password of a URL, as they are written there.
struct UserInfo {
    let user: String
    /// Nil if there is no colon.
    let password: String?

    init(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        user = parts.first.map { String($0) } ?? ""
        password = parts.count > 1 ? String(parts[1]) : nil
    }

    /// What must not be shown: the password in each of its forms. A user without a password is often a token.
    var secrets: [String] {
        let secret = password ?? user
        let pair = "\(user.percentDecoded):\((password ?? "").percentDecoded)"
        return [secret, secret.percentDecoded, Array(pair.utf8).base64]
    }
}

extension [UInt8] {
    /// RFC 4648, section 4, without padding: as a header `Authorization` has it.
    fileprivate var base64: String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        var bits = 0
        var count = 0
        for byte in self {
            (bits, count) = ((bits << 8 | Int(byte)) & 0xFFFF, count + 8)
            while count >= 6 {
                count -= 6
                text.append(digits[bits >> count & 0x3F])
            }
        }
        if count > 0 { text.append(digits[bits << (6 - count) & 0x3F]) }
        return String(decoding: text, as: UTF8.self)
    }
}
