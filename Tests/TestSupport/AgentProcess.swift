import Glibc
public import Host
public import Simulator
import Subprocess
import Synchronization
import SystemPackage
public import UpdateCore

/// The real `upgradelinkd`, with this object as its service manager.
public final class AgentProcess: Sendable {
    public let pid: Int32
    private let received: Received

    fileprivate final class Received: Sendable {
        struct State {
            var messages: [String] = []
            var times: [Seconds] = []
            var log: [String] = []
            var exit: ProcessEnd?
        }
        let state = Mutex(State())
    }

    private init(pid: pid_t, received: Received) {
        self.pid = pid
        self.received = received
    }

    /// Starts an agent, runs `body` with it, and ends it; SIGKILL follows if it does not end in time.
    ///
    /// - Parameters:
    ///   - environment: more variables for it, such as a fake clock's.
    ///   - arguments: more arguments for it.
    /// - Returns: what the body returned, and how the agent ended.
    @discardableResult
    public static func run<Value: Sendable>(
        _ device: AgentDevice, environment: [String: String] = [:], arguments: [String] = [],
        body: @Sendable (AgentProcess) async throws -> Value
    ) async throws -> (value: Value, end: ProcessEnd, log: [String]) {
        Signals.ignore(SIGPIPE)
        let received = Received()
        let path = "\(device.scratch.path)/notify-\(UInt32.random(in: 0...UInt32.max))"
        let socket = try NotifySocket(path: path) { message in
            received.state.withLock { state in
                for line in message.split(separator: "\n") {
                    state.messages.append(String(line))
                    state.times.append(Clock.bootTime.seconds)
                }
            }
        }
        defer { socket.close() }
        var variables: [Subprocess.Environment.Key: String] = ["NOTIFY_SOCKET": path]
        for (name, value) in PrivateBus.none { variables[.init(stringLiteral: name)] = value }
        for (name, value) in environment { variables[.init(stringLiteral: name)] = value }
        let result = try await Subprocess.run(
            .path(FilePath("\(programsDirectory)/upgradelinkd")),
            arguments: .init(["--debug", "--root", device.scratch.path] + arguments),
            environment: .inherit.updating(variables.mapValues { Optional($0) }), input: .none, output: .discarded,
            error: .sequence
        ) { execution in
            let agent = AgentProcess(pid: execution.processIdentifier.value, received: received)
            let errors = execution.standardError
            let reading = Task {
                for try await line in errors.strings() { received.state.withLock { $0.log.append(line) } }
            }
            let value: Value
            do {
                value = try await body(agent)
            } catch {
                kill(agent.pid, SIGKILL)
                throw error
            }
            // If the body has ended the agent already, the signal has no effect.
            try? execution.send(signal: .terminate)
            if await !eventually(within: 10, { Self.hasEnded(agent.pid) }) {
                kill(agent.pid, SIGKILL)
            }
            _ = await reading.result
            return value
        }
        let end: ProcessEnd =
            switch result.terminationStatus {
            case .exited(let status): .exited(status)
            case .signaled(let signal): .signalled(signal)
            }
        return (result.closureResult, end, received.state.withLock { $0.log })
    }

    /// Whether a process has ended, even if its parent has not waited for it.
    public static func hasEnded(_ pid: Int32) -> Bool {
        guard let bytes = try? Files.read("/proc/\(pid)/stat", limit: 4096) else { return true }
        return String(decoding: bytes, as: UTF8.self).contains(") Z ")
    }

    public var hasEnded: Bool { Self.hasEnded(pid) }

    /// Its workers, by process ID.
    public var workers: [String] {
        let threads = (try? Files.list("/proc/\(pid)/task")) ?? []
        return threads.flatMap { thread in
            let bytes = (try? Files.read("/proc/\(pid)/task/\(thread)/children", limit: 4096)) ?? []
            return String(decoding: bytes, as: UTF8.self).split(separator: " ").map(String.init)
        }
    }

    /// Every line of every message to the service manager, in order.
    public var messages: [String] { received.state.withLock { $0.messages } }
    /// When messages like this came, in seconds since the boot.
    public func times(of isMeant: (String) -> Bool) -> [Seconds] {
        received.state.withLock { state in zip(state.messages, state.times).filter { isMeant($0.0) }.map(\.1) }
    }
    public var statuses: [String] {
        messages.filter { $0.hasPrefix("STATUS=") }.map { String($0.dropFirst("STATUS=".count)) }
    }
    public var log: [String] { received.state.withLock { $0.log } }

    public func says(_ text: String, within seconds: Double = 30) async -> Bool {
        await eventually(within: seconds) { self.statuses.contains { $0.contains(text) } }
    }

    /// Whether the device is updated to a version and reports it to the server.
    public func updates(to code: Int, _ server: RunningServer) async -> Bool {
        guard await says("Up to date (v\(code), code \(code))", within: 40) else { return false }
        return await eventually {
            await server.reports("app_upgrade_upgrade").contains { $0.contains("\"code\":0,") }
        }
    }

    public func logs(_ text: String, within seconds: Double = 30) async -> Bool {
        await eventually(within: seconds) { self.log.contains { $0.contains(text) } }
    }
}

/// A device for the whole agent: the artifacts replace its version file.
public struct AgentDevice: Sendable {
    public let scratch: Scratch
    public let publisher: Publisher
    public static let urlKey = "device"
    public static let secret = "top-secret-4711"

    public init() async throws {
        let scratch = try Scratch()
        try self.init(scratch, try await Publisher(directory: "\(scratch.path)/publisher"))
    }

    /// Another device of the same publisher.
    public init(like device: AgentDevice) throws {
        try self.init(try Scratch(), device.publisher)
    }

    private init(_ scratch: Scratch, _ publisher: Publisher) throws {
        self.scratch = scratch
        self.publisher = publisher
        try scratch.write("live.versions/initial/version", "VERSION=v1\nVERSION_CODE=1\n")
        symlink("\(scratch.path)/live.versions/initial", "\(scratch.path)/live")
        try scratch.write("files/none", "")
    }

    /// Writes the agent's configuration.
    ///
    /// - Parameter changes: lines for the drop-in that overrides all other files.
    public func configure(server: String, device: String = "001122aabbcc", changes: String = "") throws {
        let text = """
            [server]
            url = "\(server)"
            requestTimeout = "20s"
            [credentials]
            accessKey = "ak"
            secretKey = "\(Self.secret)"
            [device]
            urlKey = "\(Self.urlKey)"
            devKey = "@DEVICE@"
            versionFile = "@ROOT@/live/version"
            [poll]
            interval = "2s"
            splay = "0s"
            backOffBase = "0.2s"
            backOffCap = "1s"
            [download]
            directory = "@ROOT@/staging"
            keepFree = 0
            [verification]
            keys = ["\(publisher.publicKey)"]
            keysDirectory = "@ROOT@/files"
            [install]
            module = "directory"
            moduleDirectories = ["@ROOT@/modules", "\(modulesDirectory)"]
            files = { link = "@ROOT@/live" }
            retryDelay = "0.2s"
            gracePeriod = 0
            [state]
            directory = "@ROOT@/state"

            """
        try scratch.write(
            "etc/upgradelinkd/upgradelinkd.toml",
            text.replacing("@ROOT@", with: scratch.path).replacing("@DEVICE@", with: device))
        try scratch.write(
            "etc/upgradelinkd/upgradelinkd.toml.d/test.toml", changes.replacing("@ROOT@", with: scratch.path))
    }

    /// Publishes a version: signs its file and returns its entry for the server.
    public func publish(
        _ code: Int, type: Int = 2, ballast: Int = 0, says: Int? = nil, signedFor: Int? = nil
    ) async throws -> Version {
        try await publisher.release(
            "\(scratch.path)/files/v\(code)", urlKey: Self.urlKey, versionCode: says ?? code, ballast: ballast,
            signed: "urlKey=\(Self.urlKey) versionCode=\(signedFor ?? code)")
        return Version(versionCode: code, versionName: "v\(code)", file: "v\(code)", upgradeType: type)
    }

    public func server(_ versions: [Version], faults: [Fault] = []) -> SimulatorConfiguration {
        SimulatorConfiguration(
            directory: "\(scratch.path)/files", keys: [KeyPair(accessKey: "ak", secretKey: Self.secret)],
            applications: [Application(urlKey: Self.urlKey, versions: versions)], faults: faults)
    }

    public var runs: Int? {
        guard let text = try? scratch.read("live/version") else { return nil }
        return text.firstMatch(of: /VERSION_CODE=(\d+)/).flatMap { Int($0.1) }
    }
}

extension RunningServer {
    /// The events of a kind that devices reported, as JSON.
    public func reports(_ eventType: String) async -> [String] {
        await records.filter { $0.path == "/v1/app/report" && $0.body.contains("\"\(eventType)\"") && $0.code == 0 }
            .map(\.body)
    }

    /// Whether a client has closed a connection that the server has not closed (CLOSE_WAIT, proc_net(5)): it may still hold a
    /// request.
    public var hasUnreadRequests: Bool {
        let bytes = (try? Files.read("/proc/net/tcp", limit: 16 << 20)) ?? []
        let local = ":" + String(port, radix: 16, uppercase: true).leftPadded(to: 4)
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").contains { line in
            let fields = line.split(separator: " ")
            return fields.count > 3 && fields[1].hasSuffix(local) && fields[3] == "08"
        }
    }

    public var polls: Int {
        get async { await records.count { $0.path == "/v1/url/upgrade" } }
    }
}

extension String {
    fileprivate func leftPadded(to length: Int) -> String {
        String(repeating: "0", count: max(0, length - count)) + self
    }
}
