import FoundationEssentials
import Host
import TestSupport
import Testing

@testable import UpdateCore

/// Every reason for people has one for programs.
@Suite struct ReasonCodeTests {
    @Test func theWordsAreShortStableAndDocumented() {
        for code in ReasonCode.allCases {
            #expect(code.rawValue.wholeMatch(of: /[a-z]+(-[a-z]+)*/) != nil && code.rawValue.count <= 32, "\(code)")
            #expect(code.summary.hasSuffix(".") && code.summary.count > 20, "\(code)")
        }
    }

    @Test(arguments: [UInt64](1...4)) func noReasonIsWithoutACode(seed: UInt64) async throws {
        for finding in try await OwnThread.compute({ Self.findings(seed) }) { Issue.record(Comment(rawValue: finding)) }
    }

    private static func findings(_ seed: UInt64) -> [String] {
        var findings: Set<String> = []
        var found: Set<ReasonCode> = []
        RandomWorld(seed: seed).run(steps: 60_000) { step in
            let state = step.after.state
            if (state.lastError == nil) != (state.lastErrorCode == nil) {
                findings.insert("\(state.lastError ?? "none")")
            }
            if let code = state.lastErrorCode { found.insert(code) }
            for attempt in state.history where (attempt.result == .installed) != (attempt.reasonCode == nil) {
                findings.insert("\(attempt.result): \(attempt.reason)")
            }
            for trial in state.trials where trial.reasonCode == nil { findings.insert(trial.reason) }
            for notice in step.after.notices {
                switch notice {
                // They have no reason.
                case .unknownUpgradeType, .notRolledBack: break
                case _ where notice.level == .warning || notice.level == .error:
                    if notice.reasonCode == nil { findings.insert(notice.message) }
                default: break
                }
            }
            for refused in state.refusedVersions(step.after.context) {
                if refused.reason.text.isEmpty || refused.reason.code == .unknown { findings.insert("\(refused)") }
            }
        }
        if found.count < 8 { findings.insert("only \(found)") }
        return findings.sorted()
    }

    // MARK: other versions

    /// The agent, the worker and the installer may be of different versions while the package is upgraded.
    @Test func anOlderVersionReadsTheMessagesAndSendsNoCodes() throws {
        let results: [(InstallResult, String)] = [
            (.rolledBack("r", code: .healthCheckFailed), #"{"rolledBack":{"_0":"r","code":"health-check-failed"}}"#),
            (.failed("r", code: .blocked), #"{"failed":{"_0":"r","code":"blocked"}}"#),
            (.refused("r", code: .signatureInvalid), #"{"refused":{"_0":"r","code":"signature-invalid"}}"#),
            (.interrupted("r"), #"{"interrupted":{"_0":"r"}}"#),
        ]
        for (result, text) in results {
            #expect(try JSONLine.encode(result) == Array(text.utf8) + [0x0A], "\(text)")
            #expect(try decode(InstallResult.self, text) == result)
        }
        #expect(try decode(InstallResult.self, #"{"failed":{"_0":"r"}}"#) == .failed("r"))
        #expect(
            try decode(InstallResult.self, #"{"failed":{"_0":"r","code":"later-word"}}"#)
                == .failed("r", code: .unknown))
        #expect(try decode(DownloadResult.self, #"{"refused":{"_0":"r"}}"#) == .refused("r"))
        #expect(try decode(TransientError.self, #"{"file":{"_0":"r","retryAfter":3}}"#) == .file("r", retryAfter: 3))
        #expect(
            try decode(TransientError.self, #"{"file":{"_0":"r","code":"file-missing"}}"#)
                == .file("r", code: .fileMissing))
    }

    @Test func aStoredReasonWithoutACodeIsUnknown() throws {
        var world = World()
        world.start()
        world.poll()
        world.respond(.transientError(.network("down")))
        #expect(world.state.lastErrorCode == .serverUnreachable)
        let stored = String(decoding: try JSONEncoder().encode(world.state), as: UTF8.self)
        let known = try decode(AgentState.self, stored)
        #expect(known.lastErrorCode == .serverUnreachable)
        let older = try decode(
            AgentState.self, stored.replacing(#""lastErrorCode":"server-unreachable""#, with: #""x":1"#))
        #expect(older.lastError == known.lastError && older.lastErrorCode == .unknown)
        world.poll()
        world.respond(.latest)
        #expect(world.state.lastErrorCode == nil)
    }

    private func decode<Value: Decodable>(_ type: Value.Type, _ text: String) throws -> Value {
        try JSONLine.decode(type, from: Array(text.utf8))
    }

    // MARK: refused versions

    @Test func rejectedAndBlockedVersionsAreListedUntilTheyAreRetried() {
        var world = World()
        world.policy.maximumAttempts = 1
        world.start()
        world.poll()
        world.respond(.offer(World.offer(2, 1)))
        world.handle(.command(.reject(versionCode: 2)))
        world.poll()
        world.respond(.offer(World.offer(3)))
        world.download(3)
        world.finishInstall(.rolledBack("unhealthy", code: .healthCheckFailed))
        let refused = world.state.refusedVersions(world.context)
        #expect(refused.map(\.versionCode) == [2, 3] && refused.map(\.versionName) == ["v2", "v3"])
        #expect(refused.map(\.why) == [.rejected, .blocked] && refused.map(\.failures) == [0, 1])
        #expect(refused.last?.reason == Reason("rolled back: unhealthy", .healthCheckFailed))
        world.handle(.command(.retry(versionCode: 2)))
        #expect(world.state.refusedVersions(world.context).map(\.versionCode) == [3])
        // The installed version has passed it.
        world.installed = .known(versionCode: 4, versionName: nil)
        #expect(world.state.refusedVersions(world.context).isEmpty)
    }
}
