import CHost
import Glibc

/// The descriptors between this process and a program that is being started.
struct StreamEnds {
    /// The program's descriptors 0, 1, 2 and so on; this process closes those in `temporary`.
    private(set) var theirs: [CInt] = []
    /// Those of `theirs` that this process closes after the start.
    private var temporary: [CInt] = []
    /// The descriptor that requests are written to.
    private(set) var input: CInt?
    /// The descriptor that lines are read from; the same as `input` for a socket.
    private(set) var output: CInt?
    private(set) var errors: CInt?
    private(set) var passed: OpenFile?

    init(_ streams: Program.Streams) throws(SystemError) {
        var opened: [CInt] = []
        func opening(_ descriptor: CInt) throws(SystemError) -> CInt {
            guard descriptor >= 0 else { throw SystemError("duplicate", "a descriptor") }
            opened.append(descriptor)
            return descriptor
        }
        func pipe() throws(SystemError) -> (reading: CInt, writing: CInt) {
            let ends = try Pipe.make()
            opened += [ends.reading, ends.writing]
            return ends
        }
        do throws(SystemError) {
            switch streams {
            case .inherited: break
            case .pipes(let files):
                let (requests, lines) = (try pipe(), try pipe())
                (input, output) = (requests.writing, lines.reading)
                temporary = [requests.reading, lines.writing]
                theirs = [requests.reading, lines.writing, STDERR_FILENO] + files.map(\.descriptor)
            case .socket(let file):
                let (own, other) = try LocalSocket.pair()
                let (mine, its) = (try opening(own.duplicate()), try opening(other.duplicate()))
                (input, output, passed) = (mine, mine, file)
                temporary = [its]
                theirs = [its, its, STDERR_FILENO]
            case .errors:
                let lines = try pipe()
                let empty = try OpenFile("/dev/null", O_RDONLY)
                errors = lines.reading
                temporary = [try opening(fcntl(empty.descriptor, F_DUPFD_CLOEXEC, 3)), lines.writing]
                theirs = [temporary[0], STDOUT_FILENO, temporary[1]]
            case .filter(let file, let errors):
                let bytes = try pipe()
                output = bytes.reading
                temporary = [bytes.writing]
                theirs = [file.descriptor, bytes.writing, errors?.descriptor ?? STDERR_FILENO]
            case .connection(let socket):
                theirs = [socket.descriptor, socket.descriptor, STDERR_FILENO]
            case .captured:
                let (lines, errorLines) = (try pipe(), try pipe())
                let empty = try OpenFile("/dev/null", O_RDONLY)
                (output, errors) = (lines.reading, errorLines.reading)
                temporary = [
                    try opening(fcntl(empty.descriptor, F_DUPFD_CLOEXEC, 3)), lines.writing, errorLines.writing,
                ]
                theirs = temporary
            }
        } catch {
            opened.forEach { close($0) }
            throw error
        }
        // The program's ends block: most programs do not expect EAGAIN.
        for descriptor in temporary { _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK) }
    }

    func closeTheirs() { temporary.forEach { close($0) } }

    /// Closes this process's ends, for a program that has not been started.
    func closeOwn() { Set([input, output, errors].compactMap(\.self)).forEach { close($0) } }
}

/// Starts a process with posix_spawn(3). It inherits the environment, but only the given descriptors, and its signals are
/// neither blocked nor ignored, except those in ``Program/ignoredSignals``.
enum Spawn {
    /// The copies below are above the child's descriptors, so that a dup2(2) to one of these does not close another copy.
    private static let aboveGiven: CInt = 32

    static func start(_ program: Program, _ ends: StreamEnds) throws(SystemError) -> pid_t {
        do throws(SystemError) {
            return try spawn(program, ends)
        } catch {
            ends.closeOwn()
            throw error
        }
    }

    private static func spawn(_ program: Program, _ ends: StreamEnds) throws(SystemError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var copies: [CInt] = []
        defer { copies.forEach { close($0) } }
        for (target, source) in ends.theirs.enumerated() {
            let copy = fcntl(source, F_DUPFD_CLOEXEC, aboveGiven)
            guard copy >= 0 else { throw SystemError("start", program.path) }
            copies.append(copy)
            posix_spawn_file_actions_adddup2(&actions, copy, CInt(target))
        }
        _ = upgradelink_close_from(&actions, max(3, CInt(ends.theirs.count)))
        if let directory = program.workingDirectory { _ = upgradelink_change_directory(&actions, directory) }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var (none, all) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        sigfillset(&all)
        // execve(2) keeps an ignored signal ignored.
        program.ignoredSignals.forEach { sigdelset(&all, $0) }
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        let session = program.streams.shareSession ? 0 : upgradelink_spawn_session()
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) | Int16(session))

        let arguments = CStrings([program.path] + program.arguments)
        let environment = program.mark.map { CStrings(Environment.entries(adding: $0)) }
        var pid: pid_t = 0
        let error = withExtendedLifetime((arguments, environment)) {
            posix_spawnp(
                &pid, program.path, &actions, &attributes, arguments.pointers, environment?.pointers ?? environ)
        }
        guard error == 0 else { throw SystemError("start", program.path, code: error) }
        return pid
    }

    /// A list of C strings that ends with NULL (execve(2)).
    private final class CStrings {
        let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
        private let count: Int

        init(_ texts: [String]) {
            count = texts.count
            pointers = .allocate(capacity: count + 1)
            for (index, text) in texts.enumerated() { pointers[index] = strdup(text) }
            pointers[count] = nil
        }

        deinit {
            for index in 0..<count { free(pointers[index]) }
            pointers.deallocate()
        }
    }
}
