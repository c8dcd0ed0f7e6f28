import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

/// One of the three programs is killed before one of its calls: a change on the disk, a message to another process, or the start
/// of a process. Each run chooses another call.
@Suite(.enabled(if: getuid() == 0, "consent needs a private system bus, which needs root"))
struct CrashMatrixTests {
    /// `make soak` tries one call in five, from a call that its seed chooses; `make test` tries one in sixty.
    private static let soakSeed = getenv("UPGRADELINKD_SOAK").flatMap { Int(String(cString: $0)) }
    private static let stride = soakSeed == nil ? 60 : 5

    struct Case: Sendable, CustomTestStringConvertible {
        var scene: CrashScene
        var losesPower: Bool
        var number: Int
        var testDescription: String {
            "\(scene.policy), \(scene.module), \(losesPower ? "power cut" : "kill -9")"
        }
    }

    static let cases: [Case] = CrashScene.Policy.allCases.flatMap { policy in
        // What differs with an image is its module, so that one policy is enough.
        CrashScene.Module.allCases.filter { !$0.isImage || policy == .silent }.flatMap { module in
            [false, true].map { (CrashScene(policy: policy, module: module), $0) }
        }
    }.enumerated().map { Case(scene: $1.0, losesPower: $1.1, number: $0) }

    @Test(arguments: cases) func anInterruptedUpdateCompletes(what: Case) async throws {
        // Each case begins at another call, because all cases together then try more of the calls.
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
