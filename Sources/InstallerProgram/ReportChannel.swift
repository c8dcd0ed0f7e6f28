import Host
import UpdateCore

/// Sends the installer's reports to the client. The client cannot delay the installation: what it does not read in time waits in
/// a bounded buffer, and a client that falls behind further is disconnected. The log comes first, and does not depend on it.
@MainActor final class ReportChannel {
    /// Bytes that wait, in addition to the kernel's buffer.
    private static let limit = 256 * 1024

    private var socket: LocalSocket?
    private var watch: DescriptorWatch?
    private var unsent: ArraySlice<UInt8> = []
    private var whenSent: (@MainActor () -> Void)?
    /// Whether the journal gets all reports. Without the service manager, only the agent logs them.
    private let logs: Bool

    init(_ socket: LocalSocket, logs: Bool) {
        self.socket = socket
        self.logs = logs
    }

    func send(_ report: InstallReport) {
        log(report)
        guard let bytes = try? JSONLine.encode(report), socket != nil else { return }
        guard unsent.count + bytes.count <= Self.limit else {
            return drop("it does not read them")
        }
        unsent += bytes
        sendRest()
    }

    /// Calls `done` after the client has received everything, or has had this time for it.
    func finish(within seconds: Seconds, then done: @escaping @MainActor () -> Void) {
        guard socket != nil, !unsent.isEmpty else { return done() }
        whenSent = done
        MainQueue.after(seconds) { [self] in drop("it does not read them") }
    }

    private func sendRest() {
        guard let socket else { return }
        do throws(SystemError) {
            while !unsent.isEmpty {
                let count = try socket.sendNow(unsent)
                if count == 0 { return waitForReader(socket) }
                unsent = unsent.dropFirst(count)
            }
        } catch {
            // The agent has disconnected, because it was updated for example. The next agent requests the result.
            return drop(nil)
        }
        unsent = []
        watch?.whenWritable(nil)
        complete()
    }

    private func waitForReader(_ socket: LocalSocket) {
        let watch = watch ?? DescriptorWatch(socket.descriptor, release: { withExtendedLifetime(socket) {} })
        self.watch = watch
        if !watch.isWatchingForWriting { watch.whenWritable { [weak self] in self?.sendRest() } }
    }

    private func drop(_ reason: String?) {
        guard let socket else { return complete() }
        if let reason { Environment.printError("<4>The client gets no more reports: \(reason)") }
        socket.disconnect()
        watch?.cancel()
        (self.socket, watch, unsent) = (nil, nil, [])
        complete()
    }

    private func complete() {
        let done = whenSent
        whenSent = nil
        done?()
    }

    private func log(_ report: InstallReport) {
        guard logs else { return }
        switch report {
        case .state(let name): Environment.printError("<6>Now: \(name)")
        case .output(let line): Environment.printError("<6>\(line.sanitized(limit: 1000))")
        case .space: break
        // No event of an installation.
        case .finished(.unknown): break
        case .finished(let result): Environment.printError("<5>\(result.line)")
        }
    }
}
