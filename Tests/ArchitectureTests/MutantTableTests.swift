import Simulator
import TestSupport
import Testing

/// The table of `make mutate` belongs to the sources as they are: each entry names text that is there once.
@Suite struct MutantTableTests {
    @Test func everyEntryIsInTheSources() async throws {
        let output = try await execute(
            "sh", ["-c", "exec /usr/bin/python3 -B Tests/Mutation/mutate.py --check"], in: repositoryDirectory)
        let count = try #require(output.split(separator: " ").first.flatMap { Int($0) }, "\(output)")
        #expect(count >= 120)
    }
}
