import Testing
import UpdateCore

@Suite struct SpaceNeedTests {
    @Test(arguments: [
        ("/opt 100 0", SpaceNeed(directory: "/opt", percent: 100)),
        ("/a b/c 250 4096", SpaceNeed(directory: "/a b/c", percent: 250, bytes: 4096)),
        ("/opt 0 7", SpaceNeed(directory: "/opt", percent: 0, bytes: 7)),
    ])
    func aLineIsRead(line: String, need: SpaceNeed) { #expect(SpaceNeed(line: line) == need) }

    @Test(arguments: [
        "", "none", "opt 100 0", "/opt", "/opt 100", "/opt -1 0", "/opt 1 -1", "/opt 10001 0", "/opt x 0", "/opt 1 1e9",
    ])
    func anythingElseIsNot(line: String) { #expect(SpaceNeed(line: line) == nil) }

    @Test func bytesAreComputedWithoutOverflow() {
        #expect(SpaceNeed(directory: "/", percent: 100, bytes: 5).bytes(for: 1001) == 1006)
        #expect(SpaceNeed(directory: "/", percent: 50).bytes(for: 1001) == 500)
        #expect(SpaceNeed(directory: "/", percent: 0, bytes: 9).bytes(for: .max) == 9)
        #expect(SpaceNeed(directory: "/", percent: 10_000, bytes: .max).bytes(for: .max) == .max)
    }
}
