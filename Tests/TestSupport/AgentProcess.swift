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
    private let heard: Heard

    fileprivate final class Heard: Sendable {
        struct State {
            var messages: [String] = []
            var times: [Seconds] = []
            var log: [String] = []
            var exit: ProcessEnd?
        }
        let state = Mutex(State())
    }

    private init(pid: pid_t, heard: Heard) {
        self.pid = pid
        self.heard = heard
    }

    /// Starts an agent, runs `body` with it, and ends it in whatever way is left.
    ///
    /// - Parameters:
    ///   - environment: more variables for it, such as a fake clock's.
    /// - Returns: what the body returned, and how the agent ended.
    @discardableResult
    public static func run<Value: Sendable>(
        _ device: AgentDevice, environment: [String: String] = [:],
        body: @Sendable (AgentProcess) async throws -> Value
    ) async throws -> (value: Value, end: ProcessEnd, log: [String]) {
        Signals.ignore(SIGPIPE)
        let heard = Heard()
        let path = "\(device.scratch.path)/notify-\(UInt32.random(in: 0...UInt32.max))"
        let socket = try NotifySocket(path: path) { message in
            heard.state.withLock { state in
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
            .path(FilePath("\(programsDirectory)/upgradelinkd")), arguments: ["--debug", "--root", device.scratch.path],
            environment: .inherit.updating(variables.mapValues { Optional($0) }), input: .none, output: .discarded,
            error: .sequence
        ) { execution in
            let agent = AgentProcess(pid: execution.processIdentifier.value, heard: heard)
            let errors = execution.standardError
            let reading = Task {
                for try await line in errors.strings() { heard.state.withLock { $0.log.append(line) } }
            }
            let value: Value
            do {
                value = try await body(agent)
            } catch {
                kill(agent.pid, SIGKILL)
                throw error
            }
            // A body that ended it already makes this a signal to nobody.
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
        return (result.closureResult, end, heard.state.withLock { $0.log })
    }

    /// Whether a process has ended, whoever has yet to hear of it.
    public static func hasEnded(_ pid: Int32) -> Bool {
        guard let bytes = try? Files.read("/proc/\(pid)/stat", limit: 4096) else { return true }
        return String(decoding: bytes, as: UTF8.self).contains(") Z ")
    }

    public var hasEnded: Bool { Self.hasEnded(pid) }

    /// Every line of every message to the service manager, in order.
    public var messages: [String] { heard.state.withLock { $0.messages } }
    /// When messages like this came, in seconds since the boot.
    public func times(of isMeant: (String) -> Bool) -> [Seconds] {
        heard.state.withLock { state in zip(state.messages, state.times).filter { isMeant($0.0) }.map(\.1) }
    }
    public var statuses: [String] {
        messages.filter { $0.hasPrefix("STATUS=") }.map { String($0.dropFirst("STATUS=".count)) }
    }
    public var log: [String] { heard.state.withLock { $0.log } }

    public func says(_ text: String, within seconds: Double = 30) async -> Bool {
        await eventually(within: seconds) { self.statuses.contains { $0.contains(text) } }
    }

    /// Whether the device comes to a version, and the server hears of it.
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

/// A device for the whole agent: its version file is what the artifacts replace.
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
    /// - Parameter changes: lines for the drop-in that wins over everything else.
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
            versionFile = "@BOX@/live/version"
            [poll]
            interval = "2s"
            splay = "0s"
            backOffBase = "0.2s"
            backOffCap = "1s"
            [download]
            directory = "@BOX@/staging"
            keepFree = 0
            [verification]
            keys = ["\(publisher.publicKey)"]
            keysDirectory = "@BOX@/files"
            [install]
            module = "directory"
            moduleDirectories = ["@BOX@/modules", "\(repositoryDirectory)/packaging/modules"]
            files = { link = "@BOX@/live" }
            retryDelay = "0.2s"
            gracePeriod = 0
            [state]
            directory = "@BOX@/state"

            """
        try scratch.write(
            "etc/upgradelinkd/upgradelinkd.toml",
            text.replacing("@BOX@", with: scratch.path).replacing("@DEVICE@", with: device))
        try scratch.write(
            "etc/upgradelinkd/upgradelinkd.toml.d/test.toml", changes.replacing("@BOX@", with: scratch.path))
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

    /// Whether a client's end of a connection is closed and the server has not yet noticed (CLOSE_WAIT, proc_net(5)): a
    /// request of its may still be in it.
    public var hearsFromTheDead: Bool {
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
