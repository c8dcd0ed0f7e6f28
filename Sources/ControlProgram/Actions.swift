import ArgumentParser
import Configuration
import Glibc
import Host
import Systemd
import UpdateCore

struct Check: AgentCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check for updates now.", discussion: WaitOptions.discussion)

    @OptionGroup var options: WaitOptions

    func run(_ agent: AgentClient) throws {
        guard options.wait else { return _ = try agent.call("Check") }
        let waiting = try Waiting(agent, options)
        do throws(BusError) {
            try agent.call("Check")
        } catch {
            // If the agent ends without a reply, the wait asks the next one.
            if AgentClient.isNotNow(error) {
                // It works on an offer, which is what the check would have found.
                complain("\(error); waiting for that")
            } else if !AgentClient.isWithoutReply(error) {
                throw error
            }
        }
        try waiting.wait(for: .check)
    }
}

/// The option for the version that a command is for; the default is the offered version.
struct VersionOption: ParsableArguments {
    @Option(
        name: .customLong("version-code"), help: "The versionCode that the command is for, instead of the offered one.")
    var versionCode: UInt64?

    func code(_ agent: AgentClient) throws(BusError) -> BusValue {
        if let versionCode { return .uint64(versionCode) }
        return .uint64(try agent.offeredVersion())
    }
}

struct Accept: AgentCommand {
    static let configuration = CommandConfiguration(
        abstract: "Install the offered version.",
        discussion: "If the device waits for consent to reboot, reboot.\n\n" + WaitOptions.discussion)

    @OptionGroup var version: VersionOption

    @OptionGroup var options: WaitOptions

    @Flag(help: "In the next maintenance window instead of now.")
    var tonight = false

    func run(_ agent: AgentClient) throws {
        let code = try version.code(agent)
        let waiting = options.wait ? try Waiting(agent, options) : nil
        try agent.call("Accept", code, .string(tonight ? "window" : "now"))
        try waiting?.wait(for: .version(code.number ?? 0))
    }
}

struct Defer: AgentCommand {
    static let configuration = CommandConfiguration(abstract: "Request consent to the offered version again later.")

    @OptionGroup var version: VersionOption

    @Argument(help: "The delay, from 1min to 7d: \"2h\", \"1h 30min\", \"1d\".")
    var delay: String

    func validate() throws {
        guard Amount.seconds(delay) != nil else {
            throw ValidationError("\"\(delay)\" is not a length of time such as 30min, 2h or 1d.")
        }
    }

    func run(_ agent: AgentClient) throws {
        let seconds = Amount.seconds(delay) ?? 0
        try agent.call("Defer", try version.code(agent), .uint64(UInt64(min(max(seconds, 0), 1e9))))
    }
}

struct Reject: AgentCommand {
    static let configuration = CommandConfiguration(abstract: "Never install the offered version.")

    @OptionGroup var version: VersionOption

    func run(_ agent: AgentClient) throws { try agent.call("Reject", try version.code(agent)) }
}

struct Cancel: AgentCommand {
    static let configuration = CommandConfiguration(
        abstract: "Stop a download, withdraw an acceptance, or roll back an installation that waits for its reboot.",
        discussion: "A forced version, and an installation that does not wait, cannot be cancelled.")

    func run(_ agent: AgentClient) throws { try agent.call("Cancel") }
}

struct Retry: AgentCommand {
    static let configuration = CommandConfiguration(
        abstract: "Try a version again that is blocked, was rejected or waits, for its reboot for example.",
        discussion: """
            The installer resets its count of failures and reboots for one version three times at the request of the agent. \
            Root can reset it without a limit; with a versionCode, even if the agent does not respond.

            \(WaitOptions.discussion)
            """)

    @Option(help: .hidden) var root = "/"
    @Option(help: .hidden) var programs: String?

    /// Seconds to wait for the installer, which another installation may keep busy.
    private static let installerTimeLimit = 15.0

    @Argument(help: "Its versionCode; the default is the latest version in the history that was not installed.")
    var versionCode: UInt64?

    @OptionGroup var options: WaitOptions

    func run() throws {
        // Before anything that depends on the agent or the bus: the agent may have been taken over, and the bus overloaded.
        if geteuid() == 0, let versionCode { forgetAttempts(versionCode) }
        try runWithAgent()
    }

    func run(_ agent: AgentClient) throws {
        func failedVersion() throws -> UInt64? {
            try agent.history().first { !["installed", "replaced", "dropped"].contains($0.result) }?.versionCode
        }
        guard let code = try versionCode ?? failedVersion() else {
            complain("no version has failed or been rejected")
            throw ExitCode(1)
        }
        if geteuid() == 0, versionCode == nil { forgetAttempts(code) }
        let waiting = options.wait ? try Waiting(agent, options) : nil
        try agent.call("Retry", .uint64(code))
        try waiting?.wait(for: .version(code))
    }

    /// Asks an installer of its own, which sees that root does. The agent can keep those busy that the service manager's socket
    /// leads to.
    private func forgetAttempts(_ code: UInt64) {
        let message = InstallMessage.forgetAttempts(versionCode: Int(clamping: code))
        do {
            let result = try InstallerClient.ask(
                message, startingAt: "\(programs ?? Checkup.defaultPrograms)/upgradelink-installer",
                arguments: ["--root", root], within: Self.installerTimeLimit)
            switch result {
            case .unknown: say("The installer's count of version \(code) is reset")
            case .lost(let reason), .refused(let reason, _): complain("the installer's count was not reset: \(reason)")
            default: complain("the installer's count was not reset: it answered \(result)")
            }
        } catch {
            complain("the installer's count was not reset: \(error)")
        }
    }
}

struct Install: AgentCommand {
    static let passesDescriptors = true

    static let configuration = CommandConfiguration(
        abstract: "Install a local file, from a USB stick for example.",
        discussion: """
            The agent verifies it like a download: the signature must be next to it, as FILE.minisig. upgradelinkctl verify shows \
            beforehand what is in it.

            \(WaitOptions.discussion)
            """)

    @Argument(help: "The artifact.", completion: .file())
    var file: String

    @OptionGroup var options: WaitOptions

    func run(_ agent: AgentClient) throws {
        // The agent gets open files, because it may not have the permissions to open them.
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
        let waiting = options.wait ? try Waiting(agent, options) : nil
        let reply = try agent.call("InstallDescriptor", descriptors[0], descriptors[1], timeout: 86_400)
        withExtendedLifetime(files) {}
        guard let code = reply.first?.number else { throw AgentClient.unexpected("the reply to InstallDescriptor") }
        let place: Shown = options.wait ? "" : ": upgradelinkctl status --watch"
        say("Version \(code) is verified and will be installed\(place)")
        try waiting?.wait(for: .version(code))
    }
}

struct Limit: AgentCommand {
    static let configuration = CommandConfiguration(
        abstract: "Limit the speed of downloads, the running one included.",
        discussion: "The limit ends when the agent restarts; download.speedLimit is permanent.")

    @Argument(help: "Bytes per second: 65536, \"512K\", \"2M\"; 0 for no limit.")
    var speed: String

    func validate() throws {
        guard Amount.bytes(speed) != nil else { throw ValidationError("\"\(speed)\" is not a number of bytes.") }
    }

    func run(_ agent: AgentClient) throws {
        try agent.call("SetSpeedLimit", .uint64(UInt64(Amount.bytes(speed) ?? 0)))
    }
}
