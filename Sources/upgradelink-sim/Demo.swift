import ArgumentParser
import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage

/// Shows updates in one command, with a simulated server, signed artifacts and the real agent, in a directory of their own.
struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show a device being updated from v1 to v4 by the real agent, and clean up.",
        discussion:
            "Exit status: 0 the device is up to date; 1 a step is missing, which is named.",
        // It needs the programs of a build directory: make demo.
        shouldDisplay: false)

    @ArgumentParser.Option(help: "The directory of upgradelinkd and its helpers.")
    var programs: String

    @ArgumentParser.Option(help: "The directory of the update modules.")
    var modules: String

    @ArgumentParser.Option(help: "Seconds after which the demonstration has failed.")
    var timeLimit = 50

    @ArgumentParser.Option(help: ArgumentHelp("Write the output as an SVG picture to this file.", valueName: "file"))
    var picture: String?

    func run() async throws {
        // If SIGPIPE ended the demonstration (`make demo | head`), the agent would remain.
        Signals.ignore(SIGPIPE)
        let directory = try DemoDirectory(modules: modules)
        defer { directory.remove() }
        directory.removeOnSignals()
        let publisher = try await Publisher(directory: "\(directory.path)/publisher")
        for (version, megabytes) in [(2, 24), (3, 6), (4, 3)] {
            try await publisher.release(
                "\(directory.path)/files/v\(version).tar", urlKey: directory.urlKey, versionCode: version,
                ballast: megabytes << 20)
        }
        let story = Story(isRecorded: picture != nil)
        try await PrivateBus.run(directory: directory.path, policies: [try directory.writeBusPolicy()]) { bus in
            try await SimulatedServer.run(directory.serverConfiguration, log: { story.serverSaid($0) }) { server in
                try directory.writeAgentConfiguration(server: server.url, key: publisher.publicKey)
                try await runAgent(directory, story, server, bus)
            }
        }
        story.narrate("The device is up to date. Nothing of this is left behind.")
        let size = FileStatus("\(directory.path)/files/v2.tar").map(\.size) ?? 0
        if let figures = story.figures(size: size) { story.narrate(figures) }
        if let picture {
            let drawing = TerminalPicture(story.transcript, title: "make demo")
            try Files.replace(picture, with: Array(drawing.svg.utf8), mode: 0o644)
        }
    }

    private func runAgent(
        _ directory: DemoDirectory, _ story: Story, _ server: RunningServer, _ bus: PrivateBus
    ) async throws {
        let socket = try NotifySocket(path: "\(directory.path)/notify", onMessage: { story.agentNotified($0) })
        defer { socket.close() }
        story.narrate("A device runs v1. Its agent starts, with nothing but a configuration file.")
        var options = PlatformOptions()
        options.teardownSequence = [.gracefulShutDown(allowedDurationToNextStep: .seconds(3))]
        let agent = try await Subprocess.run(
            .path(FilePath("\(programs)/upgradelinkd")), arguments: ["--root", directory.path],
            environment: .inherit.updating([
                "NOTIFY_SOCKET": socket.path, "WATCHDOG_USEC": "2000000", "DBUS_SYSTEM_BUS_ADDRESS": bus.address,
            ]),
            platformOptions: options, input: .none, output: .discarded, error: .sequence
        ) { agent in
            async let publishing: Void = publishNext(directory, story, server)
            async let watching: Void = {
                for try await line in agent.standardError.strings() { story.agentLogged(line) }
            }()
            async let prompting: Void = DemoPrompt(bus, story, control: "\(programs)/upgradelinkctl").run()
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
                "The demonstration did not finish in \(timeLimit) s; missing: \(await story.missing(server))")
        }
        guard agent.terminationStatus == .exited(0) else {
            throw DemoFailure("The agent failed: \(agent.terminationStatus)")
        }
    }

    private func publishNext(_ directory: DemoDirectory, _ story: Story, _ server: RunningServer) async {
        guard await wait({ story.hasSeen("v2 installed") }) else { return }
        let version = directory.forcedVersion
        await server.change { $0.applications[0].versions.append(version) }
        story.narrate("The publisher releases v3, and forces it.")
        guard await wait({ story.hasSeen("v3 installed") }) else { return }
        let next = directory.promptVersion
        await server.change { $0.applications[0].versions.append(next) }
        story.narrate("The publisher releases v4, and leaves it to the user.")
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
    /// Whether a device has reported that it installed this version.
    func hasSuccess(of version: Int) async -> Bool {
        await records.contains {
            $0.body.contains("app_upgrade_upgrade") && $0.body.contains("\"upgradeVersionCode\":\(version)")
                && $0.body.contains("\"code\":0,")
        }
    }
}
