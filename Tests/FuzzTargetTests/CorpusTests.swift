import FuzzTargets
import Host
import TestSupport
import Testing
import UpdateCore

/// The fuzzer's seeds, and what it found: read again, each by its target.
@Suite struct CorpusTests {
    /// A seed that is turned away at the first byte leads the fuzzer nowhere.
    @Test func theSeedsAreWhatTheyAreCalled() throws {
        let folder = "\(repositoryFolder)/Tests/FuzzCorpus"
        for name in try Files.list("\(folder)/state") {
            let bytes = try Files.read("\(folder)/state/\(name)", limit: 1 << 20)
            #expect(throws: Never.self) { try JSONLine.decode(AgentState.self, from: bytes) }
        }
        for name in ["install", "resume"] {
            let bytes = try Files.read("\(folder)/installMessage/\(name)", limit: 1 << 20)
            #expect(throws: Never.self) { try JSONLine.decode(InstallMessage.self, from: bytes) }
        }
        for name in ["offer", "progress"] {
            let bytes = try Files.read("\(folder)/fetchReport/\(name)", limit: 1 << 20)
            #expect(throws: Never.self) { try JSONLine.decode(FetchReport.self, from: bytes) }
        }
    }

    @Test(arguments: FuzzTarget.allCases) @MainActor func everySeedEndsWell(target: FuzzTarget) throws {
        let folder = "\(repositoryFolder)/Tests/FuzzCorpus/\(target.rawValue)"
        let names = try Files.list(folder)
        #expect(!names.isEmpty)
        for name in names {
            let bytes = try Files.read("\(folder)/\(name)", limit: 1 << 20)
            target.run(bytes)
            // Cut off anywhere, and with a byte turned.
            for cut in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 64)) {
                target.run(Array(bytes[..<cut]))
                var turned = bytes
                turned[cut] ^= 0x21
                target.run(turned)
            }
        }
    }
}
