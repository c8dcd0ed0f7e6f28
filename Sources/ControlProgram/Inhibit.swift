import ArgumentParser
import Glibc
import Host
import Systemd
import UpdateCore

struct Inhibit: AgentCommand {
    static let passesDescriptors = true

    static let configuration = CommandConfiguration(
        abstract: "Run a command, and delay updates while it runs.",
        discussion: """
            A forced version is delayed for at most install.inhibitLimit. SIGTERM, SIGINT and SIGHUP are passed on to the command. \
            A signal that is ignored, as by nohup(1), stays ignored for both.

            Exit status: the command's; 128+N if signal N ended it; 125 the agent cannot be reached or refuses, and the command \
            was not run; 126 the command cannot be executed; 127 it was not found.
            """)

    @ArgumentParser.Option(help: "A colon-separated list of download, install and reboot.")
    var what = "install:reboot"

    @ArgumentParser.Option(help: "The name that the status shows; the default is the command's name.")
    var who: String?

    @ArgumentParser.Option(help: "The reason that the status shows.")
    var why = ""

    @Argument(parsing: .postTerminator, help: "The command and its arguments, after --.")
    var command: [String] = []

    /// As for env(1) and timeout(1): the command was not run. Its own statuses are usually lower.
    static func exitStatus(_ error: BusError) -> CInt { 125 }

    func validate() throws {
        if command.isEmpty { throw ValidationError("A command is required after --.") }
    }

    /// The signals that this process ignored at its start. ``run()`` reads them first, because more are ignored later.
    private static let ignoredAtStart: [CInt] = (1...64).filter { number in
        var action = sigaction()
        guard sigaction(number, nil, &action) == 0 else { return false }
        // C functions have no equality.
        return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
            == unsafeBitCast(SIG_IGN, to: Int.self)
    }

    func run() throws {
        _ = Self.ignoredAtStart
        try runWithAgent()
    }

    func run(_ agent: AgentClient) throws {
        guard let program = command.first else { return }
        let name = program.split(separator: "/").last.map(String.init) ?? program
        // The bus and the descriptor stay open until this process ends.
        let held = try agent.call("Inhibit", .string(what), .string(who ?? name), .string(why))
        guard case .descriptor? = held.first else { throw AgentClient.unexpected("the reply to Inhibit") }
        var child: ChildProcess?
        let ignored = Self.ignoredAtStart
        MainQueue.onSignal([SIGTERM, SIGINT, SIGHUP].filter { !ignored.contains($0) }) { number in
            // The terminal sends its own signals to the command, too: it is in the same process group.
            if number == SIGTERM || !Terminal.isInForeground { child?.forward(number) }
        }
        var inherited = Program(program, Array(command.dropFirst()), streams: .inherited, timeLimit: nil)
        inherited.ignoredSignals = ignored
        child = ChildProcess.start(inherited) { end in
            withExtendedLifetime((agent, held)) {}
            switch end {
            case .exited(let status): Glibc.exit(status)
            case .signalled(let signal): Glibc.exit(128 + signal)
            case .timedOut, .couldNotStart:
                complain("\(end)")
                Glibc.exit(Self.isFound(program) ? 126 : 127)
            }
        }
        MainQueue.serve()
    }

    /// Whether there is a file of this name, which then cannot be executed.
    private static func isFound(_ program: String) -> Bool {
        // Otherwise each directory of PATH would be the file.
        if program.isEmpty { return false }
        guard !program.contains("/") else { return Files.exists(program) }
        let path = Environment.current["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        return path.split(separator: ":", omittingEmptySubsequences: false)
            .contains { Files.exists("\($0.isEmpty ? "." : $0)/\(program)") }
    }
}
