import FuzzTargets
import Host
import TestSupport
import Testing
import UpdateCore

/// Runs each fuzz target on its seeds and on the inputs that the fuzzer found.
@Suite struct CorpusTests {
    /// A seed that is refused at its first byte is useless to the fuzzer.
    @Test func theSeedsAreValid() throws {
        let directory = "\(repositoryDirectory)/Tests/FuzzCorpus"
        for name in try Files.list("\(directory)/state") {
            let bytes = try Files.read("\(directory)/state/\(name)", limit: 1 << 20)
            #expect(throws: Never.self) { try JSONLine.decode(AgentState.self, from: bytes) }
        }
        for name in ["install", "resume"] {
            let bytes = try Files.read("\(directory)/installMessage/\(name)", limit: 1 << 20)
            #expect(throws: Never.self) { try JSONLine.decode(InstallMessage.self, from: bytes) }
        }
        for name in ["offer", "progress"] {
            let bytes = try Files.read("\(directory)/fetchReport/\(name)", limit: 1 << 20)
            #expect(throws: Never.self) { try JSONLine.decode(FetchReport.self, from: bytes) }
        }
    }

    @Test(arguments: FuzzTarget.allCases) @MainActor func everySeedIsReadWithoutACrash(target: FuzzTarget) throws {
        let directory = "\(repositoryDirectory)/Tests/FuzzCorpus/\(target.rawValue)"
        let names = try Files.list(directory)
        #expect(!names.isEmpty)
        for name in names {
            let bytes = try Files.read("\(directory)/\(name)", limit: 1 << 20)
            target.run(bytes)
            // The seed is also read when it is cut off, and when one byte is changed.
            for cut in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 64)) {
                target.run(Array(bytes[..<cut]))
                var changed = bytes
                changed[cut] ^= 0x21
                target.run(changed)
            }
        }
    }
}
