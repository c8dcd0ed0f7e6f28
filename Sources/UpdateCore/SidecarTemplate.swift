/// The template of the address of a signature or digest file (`verification.signatureUrl`).
///
/// | placeholder | value |
/// |---|---|
/// | `{url}` | the address of the file, without its query. If the template has no query of its own, the file's follows at its end |
/// | `{path}` | the path of that address |
/// | `{query}` | its query; the question mark in front of it may be part of the template or not |
/// | `{versionCode}`, `{versionName}` | the offered version |
public struct SidecarTemplate: Hashable, Sendable {
    public static let placeholders = ["url", "path", "query", "versionCode", "versionName"]

    private enum Part: Hashable, Sendable {
        case text(String)
        case placeholder(String)
    }

    private let parts: [Part]

    /// Why a text is no template.
    public struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
        public let description: String
    }

    /// - Throws: if a brace does not belong to a placeholder.
    public init(_ text: String) throws(Problem) {
        var parts: [Part] = []
        var rest = text[...]
        while let open = rest.firstIndex(where: { $0 == "{" || $0 == "}" }) {
            if open > rest.startIndex { parts.append(.text(String(rest[..<open]))) }
            let name = rest[rest.index(after: open)...].prefix { $0 != "}" }
            guard rest[open] == "{", name.endIndex < rest.endIndex, Self.placeholders.contains(String(name)) else {
                let known = Self.placeholders.map { "{\($0)}" }.joined(separator: ", ")
                throw Problem(description: "allowed are text and the placeholders \(known)")
            }
            parts.append(.placeholder(String(name)))
            rest = rest[rest.index(after: name.endIndex)...]
        }
        if !rest.isEmpty { parts.append(.text(String(rest))) }
        self.parts = parts
    }

    /// The address for an offer; nil if it is no http or https URL.
    public func address(for offer: Offer) -> WebURL? {
        guard let url = WebURL(offer.urlPath) else { return nil }
        let (base, query) = url.withoutFragment
        var result = ""
        var takesQuery = false
        for part in parts {
            switch part {
            case .text(let text): result += text
            case .placeholder("url"):
                let isParameter = result.contains("?")
                takesQuery = !isParameter
                result += isParameter ? (base + (query.map { "?" + $0 } ?? "")).percentEncoded : base
            case .placeholder("path"):
                result += result.hasSuffix("/") ? String(url.path.dropFirst()) : url.path
            case .placeholder("query"):
                takesQuery = false
                let isMarked = result.hasSuffix("?") || result.hasSuffix("&")
                result += query.map { isMarked ? $0 : "?" + $0 } ?? ""
            case .placeholder("versionCode"): result += "\(offer.versionCode)"
            case .placeholder: result += offer.versionName.percentEncoded
            }
        }
        if result.hasSuffix("?") || result.hasSuffix("&") { result.removeLast() }
        if takesQuery, let query, !query.isEmpty, !result.contains("?") { result += "?" + query }
        return try? WebURL(repairing: result)
    }
}
