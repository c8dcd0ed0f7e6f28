import CHost
import Glibc

/// The descriptors between this process and one that is being started.
struct StreamEnds {
    /// What becomes the program's 0, 1, 2 and so on.
    private(set) var theirs: [CInt] = []
    /// Of `theirs`, those that are only for the program.
    private var temporary: [CInt] = []
    /// Where requests are written to.
    private(set) var input: CInt?
    /// Where lines are read from; the same as `input` for a socket.
    private(set) var output: CInt?
    private(set) var errors: CInt?
    private(set) var passed: OpenFile?

    init(_ streams: Program.Streams) throws(SystemError) {
        switch streams {
        case .inherited: break
        case .pipes(let files):
            let (requests, lines) = (try Pipe.make(), try Pipe.make())
            (input, output) = (requests.writing, lines.reading)
            temporary = [requests.reading, lines.writing]
            theirs = [requests.reading, lines.writing, STDERR_FILENO] + files.map(\.descriptor)
        case .socket(let file):
            let (own, other) = try LocalSocket.pair()
            let (mine, its) = (own.duplicate(), other.duplicate())
            (input, output, passed) = (mine, mine, file)
            temporary = [its]
            theirs = [its, its, STDERR_FILENO]
        case .captured:
            let (lines, complaints) = (try Pipe.make(), try Pipe.make())
            let empty = try OpenFile("/dev/null", O_RDONLY)
            (output, errors) = (lines.reading, complaints.reading)
            let nothing = fcntl(empty.descriptor, F_DUPFD_CLOEXEC, 3)
            temporary = [nothing, lines.writing, complaints.writing]
            theirs = temporary
        }
        // The program waits for what it reads, and for space for what it writes.
        for descriptor in temporary { _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK) }
    }

    func closeTheirs() { temporary.forEach { close($0) } }

    /// For a program that did not start.
    func closeOwn() { Set([input, output, errors].compactMap(\.self)).forEach { close($0) } }
}

/// Starts a process that has nothing of this one but its environment and the descriptors it is given: no blocked or ignored
/// signals (posix_spawn(3)).
enum Spawn {
    /// Above what a child is given, so that giving it does not close what is still to be given.
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
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        let session = program.streams.areInherited ? 0 : upgradelink_spawn_session()
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
