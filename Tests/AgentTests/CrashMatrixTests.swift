import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

/// One of the three programs ends at a call that it makes: of each change on the disk, each word to another process and each
/// start of one there is a run that comes to its end just before, and so another just after what came before.
@Suite(.enabled(if: getuid() == 0, "consent needs a system bus of one's own, which needs root"))
struct CrashMatrixTests {
    /// `make soak` tries one call in five, from a place that its seed chooses; `make test` one in sixty.
    private static let soakSeed = getenv("UPGRADELINKD_SOAK").flatMap { Int(String(cString: $0)) }
    private static let stride = soakSeed == nil ? 60 : 5

    struct Case: Sendable, CustomTestStringConvertible {
        var scene: CrashScene
        var losesPower: Bool
        var number: Int
        var testDescription: String {
            "\(scene.policy), \(scene.module), \(losesPower ? "the power goes" : "kill -9")"
        }
    }

    static let cases: [Case] = CrashScene.Policy.allCases.flatMap { policy in
        CrashScene.Module.allCases.flatMap { module in
            [false, true].map { (CrashScene(policy: policy, module: module), $0) }
        }
    }.enumerated().map { Case(scene: $1.0, losesPower: $1.1, number: $0) }

    @Test(arguments: cases) func whateverIsInterruptedComesToItsEnd(what: Case) async throws {
        // Neighbours begin at other calls, so that together they try every one.
        let first = (what.number * 11 + (Self.soakSeed ?? 0)) % Self.stride + 1
        var call = first
        var runs = 0
        while try await what.scene.run(crashAt: call, losesPower: what.losesPower) {
            call += Self.stride
            runs += 1
        }
        #expect(runs > 0, "there are calls to crash at")
        print("crash matrix: \(what.testDescription): \(runs) runs, from call \(first), each \(Self.stride)th")
    }
}
