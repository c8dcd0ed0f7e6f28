import ArgumentParser
import Configuration
import Glibc
import Host
import Systemd
import UpdateCore

struct Check: AgentCommand {
    static let configuration = CommandConfiguration(abstract: "Ask the server now.")

    func run(_ agent: AgentClient) throws { try agent.call("Check") }
}

/// The version that is meant; where nobody says, the one that is offered just now.
struct VersionOption: ParsableArguments {
    @Option(name: .customLong("version-code"), help: "The version that is meant, if not the one offered.")
    var versionCode: UInt64?

    func code(_ agent: AgentClient) throws(BusError) -> BusValue {
        if let versionCode { return .uint64(versionCode) }
        return .uint64(try agent.offeredVersion())
    }
}

struct Accept: AgentCommand {
    static let configuration = CommandConfiguration(
        abstract: "Install the version that is offered.",
        discussion: "Where the box waits to restart for it, restart.")

    @OptionGroup var version: VersionOption

    @Flag(help: "In the next maintenance window instead of now.")
    var tonight = false

    func run(_ agent: AgentClient) throws {
        try agent.call("Accept", try version.code(agent), .string(tonight ? "window" : "now"))
    }
}

struct Defer: AgentCommand {
    static let configuration = CommandConfiguration(abstract: "Ask again later about the version that is offered.")

    @OptionGroup var version: VersionOption

    @Argument(help: "How much later, from 1min to 7d: \"2h\", \"1h 30min\", \"1d\".")
    var delay: String

    func validate() throws {
        guard Amount.seconds(delay) != nil else {
            throw ValidationError("\"\(delay)\" is no length of time, such as 30min, 2h or 1d.")
        }
    }

    func run(_ agent: AgentClient) throws {
        let seconds = Amount.seconds(delay) ?? 0
        try agent.call("Defer", try version.code(agent), .uint64(UInt64(min(max(seconds, 0), 1e9))))
    }
}

struct Reject: AgentCommand {
    static let configuration = CommandConfiguration(abstract: "Never install the version that is offered.")

    @OptionGroup var version: VersionOption

    func run(_ agent: AgentClient) throws { try agent.call("Reject", try version.code(agent)) }
}

struct Cancel: AgentCommand {
    static let configuration = CommandConfiguration(
        abstract: "Stop a download, or take an acceptance back.",
        discussion: "An installation that has begun cannot be stopped, and neither can a forced version.")

    func run(_ agent: AgentClient) throws { try agent.call("Cancel") }
}

struct Retry: AgentCommand {
    static let configuration = CommandConfiguration(abstract: "Try a version again that was given up or rejected.")

    @Argument(help: "Its versionCode; without one, the latest in the history that failed or was rejected.")
    var versionCode: UInt64?

    func run(_ agent: AgentClient) throws {
        let failed = try agent.history().last { !["installed", "replaced", "dropped"].contains($0.result) }
        guard let code = versionCode ?? failed?.versionCode else {
            complain("no version has failed or been rejected")
            throw ExitCode(1)
        }
        try agent.call("Retry", .uint64(code))
    }
}

struct Install: AgentCommand {
    static let configuration = CommandConfiguration(
        abstract: "Install a local file, from a USB stick for example.",
        discussion: "It is verified as a download is: its signature is expected beside it, as FILE.minisig.")

    @Argument(help: "The artifact.", completion: .file())
    var file: String

    func run(_ agent: AgentClient) throws {
        // Handed over open: the agent, which has few rights, need not be able to find it.
        let files: [OpenFile]
        do throws(SystemError) {
            files = [
                try OpenFile(file, O_RDONLY | O_NONBLOCK), try OpenFile(file + ".minisig", O_RDONLY | O_NONBLOCK),
            ]
        } catch {
            complain("\(error)")
            throw ExitCode(EX_NOINPUT)
        }
        let descriptors = files.map { BusValue.descriptor($0.descriptor) }
        let answer = try agent.call("InstallDescriptor", descriptors[0], descriptors[1], timeout: 86_400)
        withExtendedLifetime(files) {}
        let code = answer.first?.number ?? 0
        say("Version \(code) is genuine, and on its way: upgradelinkctl status --watch")
    }
}

struct Limit: AgentCommand {
    static let configuration = CommandConfiguration(
        abstract: "Limit the speed of downloads, the running one included.",
        discussion: "Until the agent restarts; download.speedLimit is for good.")

    @Argument(help: "Bytes per second: 65536, \"512K\", \"2M\"; 0 for no limit.")
    var speed: String

    func validate() throws {
        guard Amount.bytes(speed) != nil else { throw ValidationError("\"\(speed)\" is no number of bytes.") }
    }

    func run(_ agent: AgentClient) throws {
        try agent.call("SetSpeedLimit", .uint64(UInt64(Amount.bytes(speed) ?? 0)))
    }
}
