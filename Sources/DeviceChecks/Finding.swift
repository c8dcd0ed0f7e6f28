import UpdateCore

/// The result of one check of the device.
public struct Finding: Codable, Hashable, Sendable {
    public enum Result: String, Codable, CaseIterable, Sendable {
        case ok
        /// Updates work, but something is unwise or will fail in some situations.
        case warn
        /// Updates do not work, or not safely.
        case bad
        /// Not checked; the text says why.
        case skip
    }

    /// What is checked, such as `installed version`. Several findings can have the same name.
    public let name: String
    public let result: Result
    /// What was found, on one line without control characters.
    public let text: String
    /// What to do; nil if nothing has to be done.
    public let remedy: String?

    private static let limit = 2000

    private init(_ name: String, _ result: Result, _ text: String, _ remedy: String? = nil) {
        self.name = name
        self.result = result
        self.text = text.withoutUserInfo.sanitized(limit: Self.limit)
        self.remedy = remedy?.sanitized(limit: Self.limit)
    }

    public static func ok(_ name: String, _ text: String) -> Finding { Finding(name, .ok, text) }
    public static func warn(_ name: String, _ text: String, _ remedy: String? = nil) -> Finding {
        Finding(name, .warn, text, remedy)
    }
    public static func bad(_ name: String, _ text: String, _ remedy: String? = nil) -> Finding {
        Finding(name, .bad, text, remedy)
    }
    public static func skip(_ name: String, _ reason: String) -> Finding { Finding(name, .skip, reason) }

    /// The text and the remedy on one line.
    public var line: String { remedy.map { "\(text); \($0)" } ?? text }

    // The synthesized `encode` leaves out a remedy that is nil; readers expect the same fields in every finding.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(name, forKey: .name)
        try fields.encode(result, forKey: .result)
        try fields.encode(text, forKey: .text)
        try fields.encode(remedy, forKey: .remedy)
    }
}
