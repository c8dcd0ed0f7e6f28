import CCrypto
import FoundationEssentials
import UpdateCore

/// A minisign public key (minisign(1)): "Ed", a key id of 8 bytes, and an Ed25519 key of 32 bytes.
public struct MinisignKey: Hashable, Sendable {
    let id: [UInt8]
    let bytes: [UInt8]

    /// Reads the content of a `.pub` file, or only its base64 line. Nil for any other text.
    public init?(_ text: String) {
        let lines = text.withoutByteOrderMark.split(whereSeparator: \.isNewline).map { String($0).unquoted }
        guard let line = lines.last(where: { !$0.isEmpty }), let raw = Data(base64Encoded: line).map(Array.init),
            raw.count == 42,
            raw.starts(with: Array("Ed".utf8))
        else { return nil }
        id = Array(raw[2..<10])
        bytes = Array(raw[10...])
    }

    /// The key ID as minisign prints it: its bytes in reverse order, in upper-case hex without leading zeros.
    public var name: String { Self.name(id) }

    static func name(_ id: [UInt8]) -> String {
        String(id.reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }, radix: 16, uppercase: true)
    }

    /// Whether the key made the signature over the message (RFC 8032).
    func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        guard signature.count == 64, let key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, bytes, bytes.count)
        else { return false }
        defer { EVP_PKEY_free(key) }
        guard let context = EVP_MD_CTX_new() else { return false }
        defer { EVP_MD_CTX_free(context) }
        return EVP_DigestVerifyInit(context, nil, nil, nil, key) == 1
            && EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }
}

/// A minisign signature file (minisign(1)): the signature of the file, and a trusted comment with a signature of its own.
public struct MinisignSignature: Sendable {
    /// The bytes of the key id in the order of the file, as in ``MinisignKey``.
    let keyID: [UInt8]
    let signature: [UInt8]
    public let trustedComment: String
    let globalSignature: [UInt8]

    public enum Failure: Error, Hashable, Sendable {
        case malformed(String)
        /// A signature of the whole file ("Ed") instead of its BLAKE2b-512 digest ("ED").
        case legacy
    }

    /// Reads the content of a signature file. It checks the form, not the signatures.
    public init(_ bytes: [UInt8]) throws(Failure) {
        // Editors, mail and web forms leave a mark, CRLF, blanks and empty lines.
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let lines = bytes.dropFirst(bytes.starts(with: mark) ? mark.count : 0)
            .split(whereSeparator: { $0 == 0x0A || $0 == 0x0D })
            .map { $0.drop(while: Self.isBlank) }.filter { !$0.isEmpty }
        guard lines.count >= 4 else { throw .malformed("it has \(lines.count) lines instead of four") }
        guard lines[0].starts(with: Array("untrusted comment:".utf8)) else {
            throw .malformed("its first line is not an untrusted comment")
        }
        guard let raw = Self.base64(lines[1]), raw.count == 74 else {
            throw .malformed("its second line is no signature")
        }
        switch String(decoding: raw[..<2], as: UTF8.self) {
        case "ED": break
        case "Ed": throw .legacy
        default: throw .malformed("its algorithm is unknown")
        }
        let prefix = Array("trusted comment: ".utf8)
        guard lines[2].starts(with: prefix) else { throw .malformed("its third line is not a trusted comment") }
        guard let comment = String(validating: lines[2].dropFirst(prefix.count), as: UTF8.self) else {
            throw .malformed("its trusted comment is not UTF-8")
        }
        guard let global = Self.base64(lines[3]), global.count == 64 else {
            throw .malformed("its fourth line is no signature")
        }
        keyID = Array(raw[2..<10])
        signature = Array(raw[10...])
        trustedComment = comment
        globalSignature = global
    }

    private static func base64(_ line: ArraySlice<UInt8>) -> [UInt8]? {
        Data(base64Encoded: String(decoding: line.filter { !isBlank($0) }, as: UTF8.self)).map(Array.init)
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// The key that signed the trusted comment, if it is one of these. Blanks at the end of the comment may have been signed, or
    /// may have been added later.
    func signer(among keys: [MinisignKey]) -> MinisignKey? {
        let comment = Array(trustedComment.utf8)
        let withoutBlanks = comment.prefix(comment.lastIndex { !Self.isBlank($0) }.map { $0 + 1 } ?? 0)
        return keys.first {
            $0.id == keyID
                && ($0.verifies(globalSignature, of: signature + comment)
                    || $0.verifies(globalSignature, of: signature + withoutBlanks))
        }
    }
}
