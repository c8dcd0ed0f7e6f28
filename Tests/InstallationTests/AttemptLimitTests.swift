import Host
import Testing
import UpdateCore

@testable import Installation

/// The counts of attempts, at each of their limits.
@Suite struct AttemptLimitTests {
    private func stored(_ versions: String, total: String = "0") throws -> InstallAttempts {
        let text = "{\"versions\":[\(versions)],\"total\":\(total)}"
        return try StoredFile.decode(InstallAttempts.self, from: Array(text.utf8)).value
    }

    /// Attempts, reboots, resets and excuses of each version.
    private func counts(_ attempts: InstallAttempts) -> [Int: [Int]] {
        Dictionary(
            attempts.versions.map { ($0.versionCode, [$0.attempts, $0.reboots, $0.resets, $0.excuses]) },
            uniquingKeysWith: { $1 })
    }

    // MARK: one version

    @Test(arguments: [1, 3, 7]) func aVersionIsBlockedAtItsLimitAndNotBefore(limit: Int) {
        var attempts = InstallAttempts()
        for _ in 1...limit {
            #expect(attempts.refusal(of: 2, limit: limit) == nil)
            attempts.countAttempt(at: 2)
        }
        let times = limit == 1 ? "1 failed or repeated installation" : "\(limit) failed or repeated installations"
        #expect(
            attempts.refusal(of: 2, limit: limit)
                == "versionCode 2 is blocked after \(times); a newer version is awaited, or upgradelinkctl retry 2")
        #expect(attempts.refusal(of: 2, limit: limit + 1) == nil)
        #expect(attempts.refusal(of: 3, limit: limit) == nil)
    }

    @Test func theThirdRebootBlocksWhateverTheLimitOfAttemptsIs() {
        var attempts = InstallAttempts()
        for _ in 1...InstallAttempts.maximumReboots {
            #expect(attempts.refusal(of: 2, limit: 100) == nil)
            attempts.countReboot(into: 2)
        }
        #expect(attempts.refusal(of: 2, limit: 100)?.hasPrefix("versionCode 2 is blocked after 3 reboots; ") == true)
        #expect(attempts.refusal(of: 3, limit: 100) == nil)
    }

    // MARK: all versions

    @Test(arguments: [(3, 48), (24, 48), (25, 50), (40, 80)])
    func allVersionsTogetherHaveALimitThatOneVersionCannotReach(limit: Int, total: Int) {
        var attempts = InstallAttempts()
        for version in 1..<total {
            if version % 2 == 0 { attempts.countReboot(into: version) } else { attempts.countAttempt(at: version) }
        }
        #expect(attempts.total == total - 1 && attempts.refusal(of: 999, limit: limit) == nil)
        attempts.countReboot(into: 998)
        #expect(
            attempts.refusal(of: 999, limit: limit)
                == "versionCode 999 is blocked after \(total) installations and reboots without a newer version: "
                + "run upgradelinkctl retry 999 as root")
    }

    // MARK: excuses

    @Test func anExcuseTakesAnAttemptAndItsRebootsBack() {
        var attempts = InstallAttempts()
        attempts.countAttempt(at: 1)
        attempts.countAttempt(at: 2)
        for _ in 1...2 { attempts.countReboot(into: 2) }
        attempts.uncountAttempt(at: 2, reboots: 1)
        #expect(counts(attempts) == [1: [1, 0, 0, 0], 2: [0, 1, 0, 1]] && attempts.total == 2)
        // There is no attempt that could be taken back.
        attempts.uncountAttempt(at: 2, reboots: 1)
        attempts.uncountAttempt(at: 7)
        #expect(counts(attempts) == [1: [1, 0, 0, 0], 2: [0, 1, 0, 1]] && attempts.total == 2)
        attempts.uncountAttempt(at: 1, reboots: 5)
        #expect(counts(attempts) == [1: [0, 0, 0, 1], 2: [0, 1, 0, 1]] && attempts.total == 0)
    }

    @Test func theLastExcuseIsTheThirtieth() {
        var attempts = InstallAttempts()
        for _ in 1...InstallAttempts.maximumExcuses {
            attempts.countAttempt(at: 2)
            attempts.uncountAttempt(at: 2)
        }
        #expect(counts(attempts) == [2: [0, 0, 0, 30]] && attempts.total == 0)
        attempts.countAttempt(at: 2)
        attempts.uncountAttempt(at: 2)
        #expect(counts(attempts) == [2: [1, 0, 0, 30]] && attempts.total == 1)
    }

    // MARK: resets

    @Test func aResetIsOfOneVersionAndNotOfTheTotal() {
        var attempts = InstallAttempts()
        for version in [2, 3] {
            attempts.countAttempt(at: version)
            attempts.countReboot(into: version)
        }
        var refusal = attempts.reset(2)
        #expect(refusal == nil)
        #expect(counts(attempts) == [2: [0, 0, 1, 0], 3: [1, 1, 0, 0]] && attempts.total == 4)
        // Nothing is reset, and that costs nothing.
        for version in [2, 9] {
            refusal = attempts.reset(version)
            #expect(refusal == nil)
        }
        #expect(counts(attempts) == [2: [0, 0, 1, 0], 3: [1, 1, 0, 0]])
        // Reboots alone are enough.
        attempts.countReboot(into: 2)
        refusal = attempts.reset(2)
        #expect(refusal == nil && counts(attempts)[2] == [0, 0, 2, 0])
    }

    @Test func theLastResetIsTheThird() {
        var attempts = InstallAttempts()
        for number in 1...InstallAttempts.maximumResets {
            attempts.countAttempt(at: 2)
            #expect(attempts.refusal(of: 2, limit: 1)?.hasSuffix("upgradelinkctl retry 2") == true, "\(number)")
            let refusal = attempts.reset(2)
            #expect(refusal == nil)
        }
        attempts.countAttempt(at: 2)
        #expect(attempts.refusal(of: 2, limit: 1)?.hasSuffix("upgradelinkctl retry 2 as root") == true)
        let refusal = attempts.reset(2)
        #expect(
            refusal
                == "the counts of versionCode 2 were reset 3 times already: run upgradelinkctl retry 2 as root")
        #expect(counts(attempts) == [2: [1, 0, 3, 0]])
    }

    @Test func aCommitForgetsTheVersionAndThoseBelow() throws {
        var attempts = try stored(
            #"{"versionCode":1,"attempts":1},{"versionCode":2,"attempts":1},{"versionCode":3,"attempts":2}"#,
            total: "4")
        var retried = attempts
        attempts.forget(committed: 2)
        #expect(counts(attempts) == [3: [2, 0, 0, 0]] && attempts.total == 0)
        retried.forget(retried: 2)
        #expect(counts(retried) == [1: [1, 0, 0, 0], 3: [2, 0, 0, 0]] && retried.total == 0)
    }

    // MARK: copies

    @Test func theHigherOfEachCountIsTaken() throws {
        let one = try stored(
            #"{"versionCode":2,"attempts":5,"reboots":1,"resets":3,"excuses":1},{"versionCode":3,"attempts":1}"#,
            total: "9")
        let other = try stored(
            #"{"versionCode":2,"attempts":2,"reboots":4,"resets":1,"excuses":6},{"versionCode":4,"reboots":2}"#,
            total: "7")
        let expected = [2: [5, 4, 3, 6], 3: [1, 0, 0, 0], 4: [0, 2, 0, 0]]
        for merged in [one.merged(with: other), other.merged(with: one)] {
            #expect(counts(merged) == expected && merged.total == 9)
        }
    }

    /// The one with the lowest counts is forgotten, whichever count it has.
    @Test(arguments: ["attempts", "reboots", "resets", "excuses"])
    func theSeventeenthVersionReplacesTheOneWithTheLowestCounts(count: String) throws {
        let versions = (1...16).map { "{\"versionCode\":\($0),\"\(count)\":\($0 == 5 ? 1 : 2)}" }
        var attempts = try stored(versions.joined(separator: ","))
        #expect(attempts.versions.count == 16)
        attempts.countAttempt(at: 5)
        #expect(attempts.versions.count == 16, "a known version replaces none")
        attempts = try stored(versions.joined(separator: ","))
        attempts.countAttempt(at: 17)
        #expect(counts(attempts).keys.sorted() == [1, 2, 3, 4] + Array(6...17))
    }

    @Test func fifteenVersionsReplaceNone() {
        var attempts = InstallAttempts()
        for version in 1...16 { attempts.countAttempt(at: version) }
        #expect(counts(attempts).keys.sorted() == Array(1...16))
    }

    // MARK: what is stored

    @Test func eachCountIsStored() throws {
        let attempts = try stored(
            #"{"versionCode":2,"attempts":1,"reboots":2,"resets":3,"excuses":4}"#, total: "5")
        #expect(counts(attempts) == [2: [1, 2, 3, 4]] && attempts.total == 5)
        #expect(try StoredFile.decode(InstallAttempts.self, from: StoredFile.encode(attempts)).value == attempts)
    }

    @Test(arguments: [
        ("-1", 0), ("0", 0), ("1000000", 1_000_000), ("1000001", 1_000_000), ("\"x\"", 0), ("null", 0),
    ])
    func aStoredCountIsBounded(text: String, count: Int) throws {
        for name in ["attempts", "reboots", "resets", "excuses"] {
            let attempts = try stored("{\"versionCode\":2,\"\(name)\":\(text)}")
            #expect(counts(attempts)[2]?.max() == count, "\(name)")
        }
        #expect(try stored("", total: text).total == count)
    }

    @Test func withoutATotalItIsTheSum() throws {
        let text = #"{"versions":[{"versionCode":2,"attempts":3,"reboots":1},{"versionCode":3,"attempts":1}]}"#
        #expect(try StoredFile.decode(InstallAttempts.self, from: Array(text.utf8)).value.total == 5)
    }

    @Test func aVersionWithoutACodeIsIgnored() throws {
        #expect(counts(try stored(#"{"attempts":3},{"versionCode":3,"attempts":1}"#)) == [3: [1, 0, 0, 0]])
        let many = (1...20).map { "{\"versionCode\":\($0)}" }.joined(separator: ",")
        #expect(counts(try stored(many)).keys.sorted() == Array(5...20))
    }
}
