import Glibc
import Host
import UpdateCore

/// Waits for connections on the socket of upgradelink-installer.socket, and starts an installer process for each request. One
/// process for all connections costs the service manager nothing, however many clients connect.
///
/// It ends after a while without requests: that frees its memory, and the next request starts the installed version of it.
@MainActor final class RequestListener {
    /// Set in the environment of the installers that the listener starts: the listener counts their refusals.
    nonisolated static let mark = ProcessMark(name: "UPGRADELINK_LISTENER", value: "1")

    /// Connections that wait for an installer, as in upgradelink-installer.socket.
    static let waiting = 16
    /// Seconds without a request after which the listener ends.
    private static let idleTime: Seconds = 20
    /// Connections that are closed at once, of a client without rights for example, before the listener pauses.
    private static let closedInARow = 16
    private static let pause: Seconds = 0.1
    private static let retryDelay: Seconds = 1

    private let socket: LocalSocket
    private let arguments: [String]
    private let watch: DescriptorWatch
    private var budget = StartBudget(now: Clock.bootTime)
    private enum Refusal: CaseIterable { case stranger, senseless, failure }
    private var refusals: [Refusal: RefusalCount] = [:]
    private var isEnding = false
    private var installers: [Int: ChildProcess] = [:]
    private var nextInstaller = 0
    private lazy var wakeUp = Timer { [weak self] in self?.update() }
    private lazy var idle = Timer { [weak self] in self?.end() }

    /// - Parameters:
    ///   - socket: the listening socket.
    ///   - arguments: those of each installer.
    init(_ socket: LocalSocket, arguments: [String]) {
        self.socket = socket
        self.arguments = arguments
        watch = DescriptorWatch(socket.descriptor, release: { withExtendedLifetime(socket) {} })
    }

    func start() {
        // The listener takes no further requests. A running installation stops before its next step, and the listener waits for that.
        MainQueue.onSignal([SIGTERM, SIGINT]) { [self] _ in
            isEnding = true
            endInstallers()
            update()
        }
        update()
    }

    /// An installer that has just been started may miss the signal, so it is repeated.
    private func endInstallers() {
        installers.values.forEach { $0.requestEnd() }
        if !installers.isEmpty { MainQueue.after(Self.retryDelay) { [weak self] in self?.endInstallers() } }
    }

    private func update() {
        if isEnding, budget.running == 0 { end() }
        let delay = isEnding ? nil : budget.delay(now: Clock.bootTime)
        if delay == 0 { watch.whenReadable { [weak self] in self?.accept() } } else { watch.whenReadable(nil) }
        if let delay, delay > 0 { wakeUp.schedule(after: delay) }
        if budget.running == 0 { idle.schedule(after: Self.idleTime) } else { idle.disarm() }
    }

    private func accept() {
        for _ in 0..<Self.closedInARow {
            do throws(SystemError) {
                guard let connection = try socket.acceptNext() else { return update() }
                guard !connection.isAbandoned else { continue }
                let user = try connection.peerUser
                guard PeerCredentials.mayRequest(user) else {
                    refuse(.stranger, "user \(user) may not request installations")
                    continue
                }
                startInstaller(connection)
                return update()
            } catch {
                // Without descriptors, for example.
                refuse(.failure, "\(error)")
                return waitAWhile(Self.retryDelay)
            }
        }
        waitAWhile(Self.pause)
    }

    private func waitAWhile(_ seconds: Seconds) {
        watch.whenReadable(nil)
        wakeUp.schedule(after: seconds)
    }

    private func startInstaller(_ connection: LocalSocket) {
        budget.countStart(now: Clock.bootTime)
        // Not the path in /proc: after an update of the package that is the old file.
        let path = CommandLine.arguments.first ?? Environment.executablePath
        let program = Program(path, arguments, streams: .connection(connection), mark: Self.mark, timeLimit: nil)
        let number = nextInstaller
        nextInstaller += 1
        installers[number] = ChildProcess.start(program) { [self] end in
            installers[number] = nil
            switch end {
            case .exited(EX_USAGE), .exited(EX_NOPERM): refuse(.senseless, "a request was refused: it makes no sense")
            case .couldNotStart: refuse(.failure, "\(end)")
            default: break
            }
            budget.countEnd()
            update()
        }
    }

    private func refuse(_ kind: Refusal, _ reason: String) {
        if let line = refusals[kind, default: RefusalCount()].add(reason, now: Clock.bootTime) { log(line) }
    }

    private func log(_ line: String) { Environment.printError("<4>\(line)") }

    private func end() {
        for kind in Refusal.allCases { if let line = refusals[kind]?.rest { log(line) } }
        exit(0)
    }
}
