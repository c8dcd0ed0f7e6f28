import FoundationEssentials
public import UpdateCore

/// The body of `POST /v1/url/upgrade`; fields that are nil are left out.
public func upgradeBody(_ checkRequest: CheckRequest) -> [UInt8] {
    encode(checkRequest)
}

/// The body of `POST /v1/app/report`.
public func reportBody(_ job: ReportJob) -> [UInt8] {
    var data = EventData(
        launchTime: nil, versionCode: 0, downloadVersionCode: nil, upgradeVersionCode: nil, code: nil,
        devModelKey: job.devModelKey, devKey: job.devKey, target: "linux", arch: architecture)
    switch job.report.kind {
    case .appStart(let versionCode):
        data.launchTime = rfc3339(job.report.time)
        data.versionCode = versionCode
    case .download(let running, let version, let code):
        data.versionCode = running
        data.downloadVersionCode = version
        data.code = code
    case .upgrade(let running, let version, let code):
        data.versionCode = running
        data.upgradeVersionCode = version
        data.code = code
    }
    return encode(
        EventReport(
            eventType: job.report.eventType, appKey: job.urlKey, timestamp: rfc3339(job.report.time),
            eventData: data))
}

private struct EventReport: Encodable {
    var eventType: String
    var appKey: String
    var timestamp: String
    var eventData: EventData
}

private struct EventData: Encodable {
    var launchTime: String?
    var versionCode: Int
    var downloadVersionCode: Int?
    var upgradeVersionCode: Int?
    var code: Int?
    var devModelKey: String?
    var devKey: String?
    var target: String
    var arch: String
}

private func encode(_ value: some Encodable) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Strings and integers can always be encoded, and the server would refuse an empty body.
    return (try? encoder.encode(value)).map(Array.init) ?? []
}

/// The processor architecture, as the API names it.
private var architecture: String {
    #if arch(x86_64)
        "x86_64"
    #elseif arch(arm64)
        "aarch64"
    #elseif arch(arm)
        "armv7"
    #elseif arch(i386)
        "i686"
    #else
        "unknown"
    #endif
}
