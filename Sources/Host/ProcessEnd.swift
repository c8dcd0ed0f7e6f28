import Subprocess

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

    init(_ status: TerminationStatus, timedOut: Bool) {
        self =
            switch status {
            case _ where timedOut: .timedOut
            case .exited(let code): .exited(code)
            case .signaled(let signal): .signalled(signal)
            }
    }
}
