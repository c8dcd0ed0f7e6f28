import FoundationEssentials
import Host
import UpdateCore

/// What a certificate says about its time (RFC 5280). Nothing else is read, and no signature is verified: libcurl does that.
enum Certificate {
    /// When each certificate of a PEM file expires; nil for one that cannot be read.
    static func expiries(inPEM text: String) -> [WallTime?] {
        text.components(between: "CERTIFICATE-----").map { block in
            let base64 = block.filter { !$0.isWhitespace }
            return Data(base64Encoded: String(base64)).flatMap { expiry([UInt8]($0)) }
        }
    }

    /// The `notAfter` of a certificate in DER: Certificate, TBSCertificate, [version], serial number, algorithm, issuer, validity.
    static func expiry(_ der: [UInt8]) -> WallTime? {
        var outer = DER(der[...])
        guard let certificate = outer.next(), certificate.tag == 0x30 else { return nil }
        var content = DER(certificate.content)
        guard let body = content.next(), body.tag == 0x30 else { return nil }
        var fields = DER(body.content)
        guard var field = fields.next() else { return nil }
        if field.tag == 0xA0 {
            guard let serial = fields.next() else { return nil }
            field = serial
        }
        guard field.tag == 0x02, fields.next() != nil, fields.next() != nil, let validity = fields.next() else {
            return nil
        }
        var times = DER(validity.content)
        guard times.next() != nil, let end = times.next() else { return nil }
        return time(end.tag, String(decoding: end.content, as: UTF8.self))
    }

    /// UTCTime, whose years 50 to 99 are those of the last century, or GeneralizedTime (RFC 5280, 4.1.2.5).
    private static func time(_ tag: UInt8, _ text: String) -> WallTime? {
        let yearDigits = tag == 0x17 ? 2 : 4
        let digits = text.utf8.map { Int($0) - 0x30 }.dropLast()
        guard tag == 0x17 || tag == 0x18, text.hasSuffix("Z"), digits.count == yearDigits + 10,
            digits.allSatisfy((0...9).contains)
        else { return nil }
        let numbers = digits.dropFirst(yearDigits)
        let pairs = stride(from: numbers.startIndex, to: numbers.endIndex, by: 2).map {
            CInt(numbers[$0] * 10 + numbers[$0 + 1])
        }
        var year = digits.prefix(yearDigits).reduce(0) { $0 * 10 + $1 }
        if tag == 0x17 { year += year < 50 ? 2000 : 1900 }
        return Clock.date(
            year: CInt(year), month: pairs[0], day: pairs[1], hour: pairs[2], minute: pairs[3], second: pairs[4])
    }

    /// A sequence of values in DER (X.690): a tag, a length, and the content.
    private struct DER {
        private var rest: ArraySlice<UInt8>

        init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

        mutating func next() -> (tag: UInt8, content: ArraySlice<UInt8>)? {
            guard let tag = rest.popFirst(), var length = rest.popFirst().map(Int.init) else { return nil }
            if length >= 0x80 {
                let count = length - 0x80
                guard (1...3).contains(count), rest.count >= count else { return nil }
                length = rest.prefix(count).reduce(0) { $0 << 8 | Int($1) }
                rest = rest.dropFirst(count)
            }
            guard rest.count >= length else { return nil }
            defer { rest = rest.dropFirst(length) }
            return (tag, rest.prefix(length))
        }
    }
}

extension String {
    /// What is between the lines `-----BEGIN LABEL` and `-----END LABEL` (RFC 7468).
    fileprivate func components(between label: String) -> [Substring] {
        var found: [Substring] = []
        var begin: Index?
        for line in split(whereSeparator: \.isNewline) {
            if line.hasPrefix("-----BEGIN "), line.contains(label) {
                begin = line.endIndex
            } else if line.hasPrefix("-----END "), let start = begin {
                found.append(self[start..<line.startIndex])
                begin = nil
            }
        }
        return found
    }
}
