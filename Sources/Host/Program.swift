public import UpdateCore

/// A program to start, and its connection to this process. ``ChildProcess`` runs it.
public struct Program: Sendable {
    public enum Streams: Sendable {
        /// Two pipes: requests go to standard input, lines come from standard output; standard error is inherited. The files
        /// become descriptors 3 and so on. The program is expected to end when its input ends.
        case pipes(passing: [OpenFile] = [])
        /// One socket is standard input and output; standard error is inherited. The file is passed with the first bytes
        /// (unix(7), `SCM_RIGHTS`). The program is expected to continue after this process has ended.
        case socket(passing: OpenFile?)
        /// This socket, whose other end belongs to another process, is standard input and output; standard error is inherited.
        case connection(LocalSocket)
        /// Standard input is empty; lines come from standard output and from standard error.
        case captured
        /// Standard input, output and error, and the session, are those of this process.
        case inherited
        /// Standard input is a file; bytes come from standard output. Standard error is another file, or that of this process, which also
        /// has the session.
        case filter(OpenFile, errors: OpenFile?)
        /// Standard input is empty; lines come from standard error. Standard output and the session are those of this process.
        case errors
    }

    /// A name without a slash is searched for in `PATH`.
    public var path: String
    public var arguments: [String]
    public var streams: Streams
    /// Nil: that of this process.
    public var workingDirectory: String?
    /// Identifies the program and the processes that it starts.
    public var mark: ProcessMark?
    /// The program is terminated after this time, in seconds. Nil: no limit.
    public var timeLimit: Seconds?
    /// Signals that this process ignores, and that the program ignores, too. All others have their default action in it.
    public var ignoredSignals: [CInt] = []

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
    /// With this exit status, 0 to 255.
    case exited(CInt)
    /// By the signal with this number.
    case signalled(CInt)
    /// ``ChildProcess`` ended it after ``Program/timeLimit``.
    case timedOut
    /// For this reason.
    case couldNotStart(String)

    /// - Parameter status: as waitpid(2) reports it.
    init(waitStatus status: CInt) {
        // WIFEXITED and WEXITSTATUS are macros (wait(2)): the low seven bits are the signal, the next byte is the exit
        // status.
        let number = status & 0x7F
        self = number == 0 ? .exited(status >> 8 & 0xFF) : .signalled(number)
    }

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
