public import UpdateCore

/// A program to start, and how it is connected to this process; ``ChildProcess`` runs it.
public struct Program: Sendable {
    public enum Streams: Sendable {
        /// Two pipes: requests go to standard input, lines come from standard output; standard error is this process's own.
        /// The files become descriptors 3 and so on. The program ends when its input does.
        case pipes(passing: [OpenFile] = [])
        /// One socket is standard input and output; the file goes along with the first bytes (unix(7), `SCM_RIGHTS`). The
        /// program goes on when this process ends.
        case socket(passing: OpenFile?)
        /// Standard input is empty; lines come from standard output and from standard error.
        case captured
        /// This process's own three, and its session.
        case inherited
    }

    /// Without a slash in it, the program is looked for in `PATH`.
    public var path: String
    public var arguments: [String]
    public var streams: Streams
    /// Nil: this process's own.
    public var workingDirectory: String?
    /// By which the program, and what it starts, is found again.
    public var mark: ProcessMark?
    /// After this time the program is terminated. Nil: never.
    public var timeLimit: Seconds?

    public init(
        _ path: String, _ arguments: [String] = [], streams: Streams, workingDirectory: String? = nil,
        mark: ProcessMark? = nil, timeLimit: Seconds?
    ) {
        self.path = path
        self.arguments = arguments
        self.streams = streams
        self.workingDirectory = workingDirectory
        self.mark = mark
        self.timeLimit = timeLimit
    }
}

/// How a process ended.
public enum ProcessEnd: Hashable, Sendable, CustomStringConvertible {
    case exited(CInt)
    case signalled(CInt)
    case timedOut
    case couldNotStart(String)

    public var succeeded: Bool { self == .exited(0) }

    public var description: String {
        switch self {
        case .exited(let status): "exit status \(status)"
        case .signalled(let signal): "ended by signal \(signal)"
        case .timedOut: "it took too long and was stopped"
        case .couldNotStart(let reason): "it cannot be started: \(reason)"
        }
    }
}
