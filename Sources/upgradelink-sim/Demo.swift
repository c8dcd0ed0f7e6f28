import ArgumentParser
import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage

/// The whole story in one command: a server, signed artifacts, and the real agent, in a folder of their own.
struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show a box being updated from v1 to v4 by the real agent, and clean up.",
        discussion:
            "Ends with exit status 0 once the box is up to date, else says which step is missing and ends with 1.")

    @ArgumentParser.Option(help: "The folder of upgradelinkd and its helpers.")
    var programs: String

    @ArgumentParser.Option(help: "The folder of the update modules.")
    var modules: String

    @ArgumentParser.Option(help: "Seconds after which the demonstration has failed.")
    var timeLimit = 50

    @ArgumentParser.Option(help: ArgumentHelp("Draw what was shown as an SVG picture.", valueName: "file"))
    var picture: String?

    func run() async throws {
        // Whoever pipes it into head shall not leave an agent behind.
        Signals.ignore(SIGPIPE)
        let folder = try DemoFolder(modules: modules)
        defer { folder.remove() }
        folder.removeOnSignals()
        let publisher = try await Publisher(folder: "\(folder.path)/publisher")
        for (version, megabytes) in [(2, 24), (3, 6), (4, 3)] {
            try await publisher.release(
                "\(folder.path)/files/v\(version).tar", urlKey: folder.urlKey, versionCode: version,
                ballast: megabytes << 20)
        }
        let story = Story(isRecorded: picture != nil)
        try await PrivateBus.run(folder: folder.path, policies: [try folder.writeBusPolicy()]) { bus in
            try await SimulatedServer.run(folder.serverConfiguration, log: { story.serverSaid($0) }) { server in
                try folder.writeAgentConfiguration(server: server.url, key: publisher.publicKey)
                try await play(folder, story, server, bus)
            }
        }
        story.tell("The box is up to date. Nothing of this is left behind.")
        if let picture {
            let drawing = TerminalPicture(story.transcript, title: "make demo")
            try Files.replace(picture, with: Array(drawing.svg.utf8), mode: 0o644)
        }
    }

    private func play(
        _ folder: DemoFolder, _ story: Story, _ server: RunningServer, _ bus: PrivateBus
    ) async throws {
        let socket = try NotifySocket(path: "\(folder.path)/notify", onMessage: { story.agentNotified($0) })
        defer { socket.close() }
        story.tell("A box runs v1. Its agent starts, with nothing but a configuration file.")
        var options = PlatformOptions()
        options.teardownSequence = [.gracefulShutDown(allowedDurationToNextStep: .seconds(3))]
        let agent = try await Subprocess.run(
            .path(FilePath("\(programs)/upgradelinkd")), arguments: ["--root", folder.path],
            environment: .inherit.updating([
                "NOTIFY_SOCKET": socket.path, "WATCHDOG_USEC": "2000000", "DBUS_SYSTEM_BUS_ADDRESS": bus.address,
            ]),
            platformOptions: options, input: .none, output: .discarded, error: .sequence
        ) { agent in
            async let publishing: Void = publishNext(folder, story, server)
            async let watching: Void = {
                for try await line in agent.standardError.strings() { story.agentLogged(line) }
            }()
            async let prompting: Void = ToyPrompt(bus, story, control: "\(programs)/upgradelinkctl").run()
            let finished = await wait {
                guard story.isComplete else { return false }
                for version in 2...4 where await !server.hasSuccess(of: version) { return false }
                return true
            }
            try agent.send(signal: .terminate)
            _ = try await watching
            await publishing
            await prompting
            return finished
        }
        guard agent.closureResult else {
            throw DemoFailure(
                "The story did not come to its end in \(timeLimit) s: missing is \(await story.missing(server))")
        }
        guard agent.terminationStatus == .exited(0) else {
            throw DemoFailure("The agent did not end well: \(agent.terminationStatus)")
        }
    }

    private func publishNext(_ folder: DemoFolder, _ story: Story, _ server: RunningServer) async {
        guard await wait({ story.hasSeen("v2 installed") }) else { return }
        let version = folder.forcedVersion
        await server.change { $0.applications[0].versions.append(version) }
        story.tell("The publisher releases v3, and forces it.")
        guard await wait({ story.hasSeen("v3 installed") }) else { return }
        let next = folder.promptVersion
        await server.change { $0.applications[0].versions.append(next) }
        story.tell("The publisher releases v4, and leaves it to the person in front of the box.")
    }

    private func wait(_ condition: () async -> Bool) async -> Bool {
        for _ in 0..<(timeLimit * 10) {
            if await condition() { return true }
            if Task.isCancelled { return false }
            try? await Task.sleep(for: .milliseconds(100))
        }
        return false
    }
}

struct DemoFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

extension RunningServer {
    /// Whether a box told the server that it now runs this version.
    func hasSuccess(of version: Int) async -> Bool {
        await records.contains {
            $0.body.contains("app_upgrade_upgrade") && $0.body.contains("\"upgradeVersionCode\":\(version)")
                && $0.body.contains("\"code\":0,")
        }
    }
}
