import ArgumentParser
import UpdateCore

struct Command: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgradelinkd",
        abstract: "Keeps this device at the version that the UpgradeLink server wants it to run.",
        discussion: """
            The service manager starts it (systemctl enable --now upgradelinkd). It is configured by \
            /etc/upgradelinkd/upgradelinkd.toml and drop-ins in /etc/upgradelinkd/upgradelinkd.toml.d, over the vendor's \
            in /usr/lib/upgradelinkd. SIGHUP reloads the configuration, SIGTERM stops the agent.

            Exit status: 0 after SIGTERM; 64 wrong arguments; 73 the state directory cannot be used; 77 (--check-config) \
            not allowed to read the configuration; 78 wrong configuration.
            """,
        version: productVersion)

    @Flag(
        name: .long,
        help: """
            Check the configuration, and with the agent's rights the identity, the installed version, the credentials and \
            the directories; say what is wrong, and exit: 0 when all is right, else 78. Nothing is changed.
            """)
    var checkConfig = false

    @Flag(
        name: .long,
        help: ArgumentHelp(
            "Make the running agent reload its configuration, and wait for the result. For ExecReload= of its unit.",
            visibility: .hidden))
    var reload = false

    @Flag(name: .long, help: "Log more.")
    var debug = false

    @Option(
        name: .long,
        help: ArgumentHelp("Read the configuration below this directory instead of /.", valueName: "directory"))
    var root = "/"

    @Option(
        name: .long,
        help: ArgumentHelp("Where upgradelink-fetch and upgradelink-installer are.", valueName: "directory"))
    var programs: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Reach the installer through this socket, on which systemd starts it as root, instead of starting it.",
            valueName: "path"))
    var installerSocket: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Find the names of calling processes in this directory instead of /proc.", valueName: "directory"))
    var processes = "/proc"
}
