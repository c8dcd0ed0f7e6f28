// The status and the history as JSON. Every field is always there; `null` stands for none. docs/json.md describes the fields, and
// a test compares it with the output.

extension AgentStatus: Encodable {
    private enum CodingKeys: String, CodingKey {
        case state, statusText, installed, offer, progress, nextCheck, lastCheck, lastError, lastErrorCode, deadline
        case deferralsLeft, speedLimit, inhibitors, warnings, refusedVersions
    }

    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(state, forKey: .state)
        try fields.encode(statusText, forKey: .statusText)
        try fields.encode(installed.versionCode > 0 ? installed : nil, forKey: .installed)
        try fields.encode(offer.versionCode > 0 ? offer : nil, forKey: .offer)
        try fields.encode(state == "downloading" ? progress : nil, forKey: .progress)
        try fields.encode(nextCheck.orNil, forKey: .nextCheck)
        try fields.encode(lastCheck.orNil, forKey: .lastCheck)
        try fields.encode(lastError.orNil, forKey: .lastError)
        try fields.encode(lastErrorCode.orNil, forKey: .lastErrorCode)
        try fields.encode(deadline.orNil, forKey: .deadline)
        try fields.encode(deferralsLeft, forKey: .deferralsLeft)
        try fields.encode(speedLimit.orNil, forKey: .speedLimit)
        try fields.encode(inhibitors, forKey: .inhibitors)
        try fields.encode(warnings, forKey: .warnings)
        try fields.encode(refusedVersions, forKey: .refusedVersions)
    }
}

extension AgentStatus.Version: Encodable {
    private enum CodingKeys: String, CodingKey { case versionCode, versionName }

    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(versionCode, forKey: .versionCode)
        try fields.encode(versionName.orNil, forKey: .versionName)
    }
}

extension AgentStatus.Offered: Encodable {
    private enum CodingKeys: String, CodingKey { case versionCode, versionName, upgradeType, text, size, source }

    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(versionCode, forKey: .versionCode)
        try fields.encode(versionName.orNil, forKey: .versionName)
        try fields.encode(upgradeType, forKey: .upgradeType)
        try fields.encode(text.orNil, forKey: .text)
        try fields.encode(size.orNil, forKey: .size)
        try fields.encode(source.orNil, forKey: .source)
    }
}

extension AgentStatus.Progress: Encodable {
    private enum CodingKeys: String, CodingKey { case received, total, rate }

    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(received, forKey: .received)
        try fields.encode(total.orNil, forKey: .total)
        try fields.encode(rate, forKey: .rate)
    }
}

extension AgentStatus.Inhibitor: Encodable {
    private enum CodingKeys: String, CodingKey { case what, who, why }

    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(what, forKey: .what)
        try fields.encode(who.orNil, forKey: .who)
        try fields.encode(why.orNil, forKey: .why)
    }
}

extension AgentStatus.Refused: Encodable {
    private enum CodingKeys: String, CodingKey { case versionCode, versionName, why, failures, reason, reasonCode }

    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(versionCode, forKey: .versionCode)
        try fields.encode(versionName.orNil, forKey: .versionName)
        try fields.encode(why, forKey: .why)
        try fields.encode(failures, forKey: .failures)
        try fields.encode(reason.orNil, forKey: .reason)
        try fields.encode(reasonCode.orNil, forKey: .reasonCode)
    }
}

extension HistoryEntry: Encodable {
    private enum CodingKeys: String, CodingKey {
        case versionCode, versionName, upgradeType, started, ended, bytes, result, reason, reasonCode, source
    }

    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(versionCode, forKey: .versionCode)
        try fields.encode(versionName.orNil, forKey: .versionName)
        try fields.encode(upgradeType.orNil, forKey: .upgradeType)
        try fields.encode(started.orNil, forKey: .started)
        try fields.encode(ended.orNil, forKey: .ended)
        try fields.encode(bytes.orNil, forKey: .bytes)
        try fields.encode(result, forKey: .result)
        try fields.encode(reason.orNil, forKey: .reason)
        try fields.encode(reasonCode.orNil, forKey: .reasonCode)
        try fields.encode(source.orNil, forKey: .source)
    }
}

extension UInt64 {
    fileprivate var orNil: UInt64? { self == 0 ? nil : self }
}

extension String {
    fileprivate var orNil: String? { isEmpty ? nil : self }
}
