import Glibc
import Host
import Testing
import UpdateCore

@testable import InstallerProgram

/// The reports of an installation to a client that may not read them.
@Suite(.timeLimit(.minutes(1))) @MainActor struct ReportChannelTests {
    private let report = InstallReport.output(String(repeating: "x", count: 1000))

    /// What the client can read until the end, without waiting.
    private func rest(_ client: LocalSocket) -> (bytes: Int, isEnd: Bool) {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        var bytes = 0
        while true {
            let count = recv(client.descriptor, &chunk, chunk.count, CInt(MSG_DONTWAIT))
            guard count > 0 else { return (bytes, count == 0) }
            bytes += count
        }
    }

    /// It gets no more of them, and the installer's memory is bounded.
    @Test func aClientThatReadsNothingIsDisconnected() throws {
        let (mine, client) = try LocalSocket.pair()
        let channel = ReportChannel(mine, logs: false)
        for _ in 0..<4000 { channel.send(report) }
        let received = rest(client)
        #expect(received.isEnd && (1...2_000_000).contains(received.bytes), "\(received)")
    }

    @Test func aSlowClientGetsEverything() async throws {
        let (mine, client) = try LocalSocket.pair()
        let channel = ReportChannel(mine, logs: false)
        for _ in 0..<300 { channel.send(report) }
        var bytes = 0
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            var isDone = false
            channel.finish(within: 30) {
                isDone = true
                continuation.resume()
            }
            @MainActor func readOn() {
                bytes += rest(client).bytes
                if !isDone { MainQueue.after(0.01) { readOn() } }
            }
            readOn()
        }
        bytes += rest(client).bytes
        #expect(bytes == (try JSONLine.encode(report).count) * 300)
    }

    /// The installer ends nevertheless.
    @Test func theEndDoesNotWaitForAClientThatReadsNothing() async throws {
        let (mine, client) = try LocalSocket.pair()
        let channel = ReportChannel(mine, logs: false)
        for _ in 0..<300 { channel.send(report) }
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            channel.finish(within: 0.1) { continuation.resume() }
        }
        #expect(rest(client).isEnd)
    }
}

/// When the device itself continues an installation after a boot.
struct RetryDelayTests {
    @Test func whatDidNotHappenIsTriedAgain() {
        #expect(InstallerProgram.retryDelay(after: .rebootRefused("x"), 300) == 60)
        #expect(InstallerProgram.retryDelay(after: .rebootRefused("x"), 20) == 20)
        #expect(InstallerProgram.retryDelay(after: .rebooting, 300) == 300)
        #expect(InstallerProgram.retryDelay(after: .lost("a lock"), 300) == 60)
        #expect(InstallerProgram.retryDelay(after: .committed, 300) == nil)
    }
}
