import Glibc
import Host
import Logging
import Testing

@testable import Systemd

@Suite struct LogTests {
    @Test func aFieldIsOneLineOfABoundedLength() {
        #expect(JournalLogHandler.field("MESSAGE", "a\nPRIORITY=0") == "MESSAGE=a PRIORITY=0")
        let field = JournalLogHandler.field("MESSAGE", String(repeating: "x", count: 5000))
        #expect((4000...4010).contains(field.count - "MESSAGE=".count))
    }

    /// As systemd sets it (systemd.exec(5)). A program that a service starts with another standard error inherits the variable.
    @Test func theJournalIsConnectedIfItIsStandardError() throws {
        let identity = try #require(FileStatus(descriptor: STDERR_FILENO)).identity
        func isConnected(_ stream: String) -> Bool { JournalLogHandler.isConnected(["JOURNAL_STREAM": stream]) }
        #expect(isConnected("\(identity.device):\(identity.inode)"))
        #expect(!isConnected("\(identity.device):\(identity.inode + 1)"))
        #expect(!isConnected("\(identity.device + 1):\(identity.inode)"))
        #expect(!isConnected("\(identity.inode)") && !isConnected(""))
        #expect(!JournalLogHandler.isConnected(["OTHER": "x"]))
    }

    @Test func metadataIsThatOfTheLogger() {
        var journal = JournalLogHandler()
        journal[metadataKey: "a"] = "1"
        var terminal = TerminalLogHandler()
        terminal[metadataKey: "a"] = "2"
        #expect(journal[metadataKey: "a"] == "1" && terminal[metadataKey: "a"] == "2")
        #expect(journal[metadataKey: "b"] == nil && journal.logLevel == .info && terminal.logLevel == .info)
    }
}
