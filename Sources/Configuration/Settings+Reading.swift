import Host
import UpdateCore

/// The sections, each with a fallback for what is wrong: the errors are collected.
extension Settings {
    static func server(_ check: inout Check) -> ServerConnection {
        let merged = check.merged
        for (one, other) in [("clientCertificate", "clientKey"), ("clientKey", "clientCertificate")] {
            if merged.text("server.\(one)") != nil, merged.text("server.\(other)") == nil {
                check.reportMissing(
                    "server.\(other)", "missing, and needed together with server.\(one)", because: "server.\(one)")
            }
        }
        for key in ["server.caBundle", "server.clientCertificate", "server.clientKey"] {
            if let path = merged.text(key), !Files.exists(path) {
                check.report(key, "found \"\(path)\", which does not exist")
            }
        }
        return ServerConnection(
            url: merged.require(text: "server.url"),
            signingPath: merged.text("server.signingPath"), caBundle: merged.text("server.caBundle"),
            clientCertificate: merged.text("server.clientCertificate"), clientKey: merged.text("server.clientKey"),
            proxy: merged.text("server.proxy").flatMap { try? ProxyURL($0) },
            connectTimeout: merged.require(seconds: "server.connectTimeout"),
            requestTimeout: merged.require(seconds: "server.requestTimeout"))
    }

    static func device(_ check: inout Check) -> DeviceSettings {
        let merged = check.merged
        let urlKey = merged.text("device.urlKey")
        if urlKey == nil {
            check.reportMissing("device.urlKey", "missing; set it to the application's urlKey on the server")
        }
        let code = merged.integer("device.versionCode")
        let file = merged.text("device.versionFile")
        if code == nil, file == nil {
            check.reportMissing(
                "device.versionFile",
                "missing; set it to the file that says which version is installed, or device.versionCode to a number",
                because: "device.versionCode")
        } else if code != nil, file != nil {
            check.reportBoth("device.versionFile", "device.versionCode")
        }
        let version: VersionSource =
            file.map {
                .file(
                    path: $0, codeKey: merged.require(text: "device.versionCodeKey"),
                    nameKey: merged.text("device.versionNameKey"))
            } ?? .fixed(versionCode: code ?? 0, versionName: merged.text("device.versionName"))
        let format = merged.text("device.devKeyFormat").flatMap(DevKeyFormat.init) ?? .hex
        let salt = merged.text("device.devKeySalt")
        if format == .sha256, salt == nil {
            check.reportMissing(
                "device.devKeySalt",
                "missing, and needed for device.devKeyFormat = \"sha256\"; a MAC address alone is guessed soon",
                because: "device.devKeyFormat")
        }
        let pinned = merged.require(integer: "device.appointVersionCode")
        return DeviceSettings(
            urlKey: urlKey ?? "", devModelKey: merged.text("device.devModelKey"), devKey: merged.text("device.devKey"),
            interface: merged.text("device.interface"), devKeyFormat: format, devKeySalt: salt ?? "",
            appointVersionCode: pinned > 0 ? pinned : nil, version: version)
    }

    static func poll(_ check: inout Check) -> PollSchedule {
        let merged = check.merged
        let schedule = PollSchedule(
            interval: merged.require(seconds: "poll.interval"), splay: merged.require(seconds: "poll.splay"),
            backOffBase: merged.require(seconds: "poll.backOffBase"),
            backOffCap: merged.require(seconds: "poll.backOffCap")
        )
        if schedule.backOffBase > schedule.backOffCap {
            check.report(
                "poll.backOffBase",
                "found \(describe(schedule.backOffBase)), allowed is at most poll.backOffCap, \(describe(schedule.backOffCap))",
                because: "poll.backOffCap")
        }
        return schedule
    }

    static func download(_ merged: MergedConfiguration, _ environment: [String: String]) -> DownloadSettings {
        DownloadSettings(
            directory: merged.text("download.directory") ?? environment["CACHE_DIRECTORY"]?.firstPath
                ?? "/var/cache/upgradelinkd",
            speedLimit: merged.require(bytes: "download.speedLimit"),
            sizeLimit: merged.require(bytes: "download.sizeLimit"),
            keepFree: merged.require(bytes: "download.keepFree"),
            lowSpeed: merged.require(bytes: "download.lowSpeed"),
            lowSpeedTime: merged.require(seconds: "download.lowSpeedTime"),
            timeout: merged.require(seconds: "download.timeout"),
            beforeConsent: merged.flag("download.beforeConsent") ?? true,
            priority: DownloadPriority(
                ioClass: merged.text("download.ioClass").flatMap(DownloadPriority.IOClass.init) ?? .idle,
                nice: merged.integer("download.nice") ?? 10,
                flushEvery: merged.require(bytes: "download.flushEvery"),
                keepCache: merged.bytes("download.keepCache")))
    }

    static func verification(_ check: inout Check) -> VerificationPolicy {
        let merged = check.merged
        let mode = merged.text("verification.mode").flatMap(VerificationPolicy.Mode.init) ?? .minisign
        let template = merged.text("verification.signatureUrl") ?? (mode == .sha256 ? "{url}.sha256" : "{url}.minisig")
        do throws(SidecarTemplate.Problem) { _ = try SidecarTemplate(template) } catch {
            check.report(
                "verification.signatureUrl", "found \"\(template.withoutUserInfo.sanitized(limit: 200))\", \(error)")
        }
        return VerificationPolicy(
            mode: mode, keys: mode == .minisign ? VerificationKeys.collect(&check) : [], sidecarURL: template,
            requireVersionCode: merged.flag("verification.requireVersionCode") ?? true)
    }
}
