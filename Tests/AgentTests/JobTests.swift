import Configuration
import Host
import TestSupport
import Testing
import UpdateCore

@testable import Agent

/// Each option reaches the core, or the worker, that it is for.
@MainActor @Suite struct JobTests {
    private func settings(_ text: String) throws -> Settings {
        let scratch = try Scratch()
        try Files.createDirectory("\(scratch.path)/keys")
        try scratch.write(
            "etc/upgradelinkd/upgradelinkd.toml", text.replacing("@KEYS@", with: "\(scratch.path)/keys"))
        return try Settings.load(root: scratch.path, environment: [:])
    }

    private static let text = """
        [server]
        url = "https://server.example"
        connectTimeout = "11s"
        requestTimeout = "13s"
        [device]
        urlKey = "device"
        devModelKey = "model"
        devKey = "ignored"
        versionCode = 1
        appointVersionCode = 17
        [poll]
        interval = "101s"
        splay = "102s"
        backOffBase = "103s"
        backOffCap = "104s"
        [download]
        directory = "/downloads"
        speedLimit = 201
        sizeLimit = 202
        keepFree = 203
        lowSpeed = 204
        lowSpeedTime = "205s"
        timeout = "206s"
        beforeConsent = false
        [verification]
        mode = "minisign"
        keys = []
        keysDirectory = "@KEYS@"
        [install]
        attempts = 31
        retryDelay = "302s"
        windows = ["02:00-05:00"]
        gracePeriod = "303s"
        inhibitLimit = "304s"
        deferrals = 32
        reboot = "ask"
        rebootTimeout = "305s"
        windowLimit = "306s"
        missedWindows = "boot"
        idleTime = "307s"
        timeout = "308s"
        healthTimeout = "309s"
        """

    @Test func eachOptionReachesThePolicy() throws {
        let policy = try settings(Self.text).policy(devKey: "computed")
        let expected = Policy(
            schedule: PollSchedule(interval: 101, splay: 102, backOffBase: 103, backOffCap: 104), urlKey: "device",
            devModelKey: "model", devKey: "computed", appointVersionCode: 17, canVerify: false,
            downloadBeforeConsent: false, maximumAttempts: 31, retryDelay: 302,
            windows: [MaintenanceWindow("02:00-05:00")].compactMap { $0 }, gracePeriod: 303, inhibitLimit: 304,
            maximumDeferrals: 32, reboot: .ask, rebootTimeout: 305, windowLimit: 306, missedWindows: .boot,
            idleTime: 307)
        #expect(policy == expected)
    }

    @Test func aModeWithoutKeysNeedsNone() throws {
        let digest = try settings(
            Self.text.replacing("mode = \"minisign\"", with: "mode = \"sha256\""))
        #expect(digest.policy(devKey: "").canVerify)
    }

    @Test func eachOptionReachesTheDownload() throws {
        let settings = try settings(Self.text)
        let offer = Offer(file: "/f", urlKey: "device", versionCode: 2)
        let job = settings.downloadJob(offer, speedLimit: nil)
        #expect(job.offer == offer && job.devModelKey == "model" && job.directory == "/downloads")
        #expect(job.speedLimit == 201 && job.sizeLimit == 202 && job.keepFree == 203)
        #expect(job.lowSpeed == 204 && job.lowSpeedTime == 205)
        for limit in [0, 7] as [ByteCount] {
            #expect(settings.downloadJob(offer, speedLimit: limit).speedLimit == limit, "that of the bus counts")
        }
        let adoption = settings.adoptJob(.path("/usb/a.tar"))
        #expect(adoption.path == "/usb/a.tar" && adoption.urlKey == "device" && adoption.devModelKey == "model")
        #expect(adoption.directory == "/downloads" && adoption.sizeLimit == 202 && adoption.keepFree == 203)
    }

    @Test func theWorkersHaveTimeForTwoRequests() throws {
        let settings = try settings(Self.text)
        #expect(settings.requestTimeLimit == 2 * (11 + 13) + 10)
        #expect(settings.installTimeLimit == 12 * 308 + 309 + 600)
        let longer = try self.settings(Self.text + "\ntimeouts = { Download = \"1000s\", Cleanup = \"2s\" }\n")
        #expect(longer.installTimeLimit == 12 * 1000 + 309 + 600)
    }

    @Test func aReportIsOfTheDevice() throws {
        let settings = try settings(Self.text)
        let clock = ServerClock(bootID: "b", atBoot: 5)
        let credentials = Credentials(accessKey: "a", secretKey: Secret("s"))
        let report = Report(kind: .appStart(versionCode: 1), time: WallTime(unixSeconds: 1))
        let job = settings.reportJob(report, credentials, clock, devKey: "computed")
        #expect(job.urlKey == "device" && job.devModelKey == "model" && job.devKey == "computed")
        #expect(job.serverClock == clock && job.report == report && job.credentials == credentials)
        let check = settings.checkJob(
            CheckRequest(urlKey: "device", versionCode: 1), credentials, clock, inbox: "/state/offer.json")
        #expect(check.serverClock == clock && check.inbox == "/state/offer.json" && check.server == settings.server)
    }

    // MARK: the log of a download

    @Test func aDownloadHasALineForEachTenthAndAtMostOneInTenSeconds() {
        var log = ProgressLog()
        let offer = Offer(file: "/f", urlKey: "device", versionCode: 2)
        func line(_ received: ByteCount, of total: ByteCount = 1000, at seconds: Seconds) -> String? {
            log.line(
                DownloadProgress(received: received, total: total, rate: 2000), offer, now: BootInstant(seconds))
        }
        #expect(line(99, at: 0) == nil, "not a tenth yet")
        #expect(line(100, at: 0) == "Downloading version 2: 10 % of 1.0 kB, 2.0 kB/s")
        #expect(line(300, at: 9.9) == nil)
        #expect(line(300, at: 10) == "Downloading version 2: 30 % of 1.0 kB, 2.0 kB/s")
        #expect(line(399, at: 30) == nil && line(400, at: 30) != nil)
        #expect(line(500, of: 0, at: 100) == nil, "its size is unknown")
    }
}
