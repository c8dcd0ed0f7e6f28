import Host
import Testing
import UpdateCore

/// A state in which every field differs from its default: what is read is what was stored.
@Suite struct StoredFieldTests {
    private static let offer = """
        {"urlKey":"k","versionName":"v2","versionCode":2,"urlPath":"https://h/v2","upgradeType":{"prompt":{}},
         "promptUpgradeContent":"text"}
        """
    private static let watch = """
        {"since":{"unixSeconds":1700000001},"counted":61,"countedAt":{"seconds":11},"resumed":{"seconds":12}}
        """
    private static let work = """
        {"offer":\(offer),"step":{"restartReady":{"_0":7,"isRollback":true,"since":{"seconds":13}}},
         "artifact":{"path":"/s/2.artifact","sidecarPath":"/s/2.sidecar","size":5},"hasConsent":true,
         "timing":"window","mayRestart":true,"deferrals":2,"askAgainAt":{"seconds":14},"deadline":{"seconds":15},
         "pause":{"watch":\(watch),"length":3601},"grace":{"watch":\(watch),"length":3602},
         "windowWait":{"watch":\(watch),"isOverdue":true,"asks":true},"started":{"unixSeconds":1700000002},
         "since":{"seconds":16},"obstacles":3,"obstaclesSince":{"unixSeconds":1700000003},
         "goneSince":{"unixSeconds":1700000004},"received":17,"fileSize":18,"hasReportedRefusal":true,
         "installedBefore":1,"rebootWait":{"isRollback":true,"since":{"seconds":19},"requested":{"seconds":20}},
         "isCancelled":true,"artifactLosses":4}
        """
    private static let state = """
        {"format":2,"bootID":"b","work":\(work),"rejected":[8],"lastCommitted":9,"lastError":"e",
         "lastErrorCode":"server-unreachable","serverClock":{"bootID":"b","atBoot":1700000005},
         "poll":{"next":{"seconds":21},"mood":{"misconfigured":{"failures":5}},"awaitsClock":true,"clockOffset":22,
          "lastAnswer":{"unixSeconds":1700000006},"unansweredBoots":6,"unheard":7,"isOfferHeld":true},
         "trials":[{"versionCode":3,"failures":2,"reason":"r","reasonCode":"module-failed"}],
         "reports":{"nextID":24,"notBefore":{"seconds":23},"entries":[{"id":10,"tries":1,"due":{"seconds":24},
          "report":{"kind":{"upgrade":{"running":1,"version":2,"code":3}},"time":{"unixSeconds":1700000007}}}]},
         "history":[{"versionCode":4,"versionName":"v4","upgradeType":"silent","started":{"unixSeconds":1700000008},
          "ended":{"unixSeconds":1700000009},"bytes":25,"result":"rolledBack","reason":"r","reasonCode":"units-failed",
          "source":"file"}]}
        """

    @Test func everyFieldIsReadAndStored() throws {
        let found = try StoredFile.decode(AgentState.self, from: Array(Self.state.utf8))
        #expect(found.unreadable == [])
        let stored = try StoredFile.encode(found.value)
        #expect(
            try JSONValue(stored) == JSONValue(Array(Self.state.utf8)), "\(String(decoding: stored, as: UTF8.self))")
        // Nothing is missing above.
        let work = try #require(found.value.work)
        for value in [found.value, found.value.poll, work] as [Any] {
            for (name, field) in Mirror(reflecting: value).children {
                #expect("\(field)" != "nil", "\(type(of: value)).\(name ?? "")")
            }
        }
    }
}
