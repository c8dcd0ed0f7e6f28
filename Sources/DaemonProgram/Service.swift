import Agent
import Configuration
import Glibc
import Host
import Logging
import Systemd
import UpdateCore

/// Starts logging and the agent, as the command line says.
@MainActor
enum Service {
    static func run(_ command: Command) -> Never {
        let environment = Environment.current
        if command.checkConfig { ConfigurationCheck.run(root: command.root, environment) }
        if command.reload { reload(environment) }
        startLogging(environment, level: command.debug ? .debug : .info)
        let installation = Agent.Installation(
            root: command.root, programs: command.programs ?? programsDirectory(),
            installerSocket: command.installerSocket, environment: environment,
            processes: command.processes)
        do throws(Agent.StartFailure) {
            // The agent's sources hold it until the process ends.
            try Agent(installation).start { end($0) }
        } catch {
            end(error)
        }
        MainQueue.serve()
    }

    private static func end(_ failure: Agent.StartFailure) -> Never {
        let logger = Logger(label: "upgradelinkd")
        if case .configuration(let failure) = failure {
            failure.errors.forEach { logger.error("\($0)") }
        } else {
            logger.critical("\(failure)")
        }
        ServiceManager.status("\(failure)")
        exit(failure.exitStatus)
    }

    private static func reload(_ environment: [String: String]) -> Never {
        do throws(ReloadResult.Failure) {
            try ReloadResult.request(environment)
            exit(0)
        } catch {
            Environment.printError("\(error)")
            exit(1)
        }
    }

    private static func startLogging(_ environment: [String: String], level: Logger.Level) {
        let toJournal = JournalLogHandler.isConnected(environment)
        LoggingSystem.bootstrap { _ in
            if toJournal {
                var handler = JournalLogHandler()
                handler.logLevel = level
                return handler
            }
            var handler = TerminalLogHandler()
            handler.logLevel = level
            return handler
        }
    }

    /// The directory of this program in a build tree, `../lib/upgradelinkd` if the program is installed.
    private static func programsDirectory() -> String {
        let directory = Files.directory(of: Environment.executablePath)
        return Files.exists("\(directory)/upgradelink-fetch")
            ? directory : "\(Files.directory(of: directory))/lib/upgradelinkd"
    }
}
