import CHost
public import Glibc
import UpdateCore

/// One end of a stream socket between two processes of this device (unix(7)). It carries bytes and open files.
public final class LocalSocket: Sendable {
    /// Valid as long as this object lives.
    public let descriptor: CInt

    /// Takes over an open socket.
    ///
    /// - Parameter descriptor: an open socket, closed with this object.
    public init(descriptor: CInt) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Standard input; nil if it is not a socket.
    public static var standardInput: LocalSocket? {
        guard FileStatus(descriptor: STDIN_FILENO)?.kind == .socket else { return nil }
        // The copy is closed with this object; standard input stays open.
        return LocalSocket(descriptor: fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3))
    }

    /// The first socket on which the service manager listens for this process (sd_listen_fds(3)). It does not block any more,
    /// and the environment no longer names it.
    ///
    /// - Parameter waiting: the number of connections that the kernel keeps waiting; it refuses more.
    /// - Returns: nil if there is none.
    public static func passedListener(waiting: Int) throws(SystemError) -> LocalSocket? {
        defer { for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { unsetenv(name) } }
        let variables = Environment.current
        var (isListening, length) = (CInt(0), socklen_t(MemoryLayout<CInt>.size))
        guard variables["LISTEN_PID"] == "\(getpid())", let count = variables["LISTEN_FDS"].flatMap({ Int($0) }),
            count > 0, FileStatus(descriptor: firstPassed)?.kind == .socket,
            getsockopt(firstPassed, SOL_SOCKET, SO_ACCEPTCONN, &isListening, &length) == 0, isListening == 1
        else { return nil }
        guard fcntl(firstPassed, F_SETFD, FD_CLOEXEC) == 0,
            fcntl(firstPassed, F_SETFL, fcntl(firstPassed, F_GETFL) | O_NONBLOCK) == 0,
            listen(firstPassed, CInt(waiting)) == 0
        else { throw SystemError("prepare", "the passed socket") }
        return LocalSocket(descriptor: firstPassed)
    }

    /// `SD_LISTEN_FDS_START`.
    private static let firstPassed: CInt = 3

    /// Takes the next waiting connection of a listening socket, without blocking.
    ///
    /// - Returns: nil if there is none.
    public func acceptNext() throws(SystemError) -> LocalSocket? {
        while true {
            let connection = accept(descriptor, nil, nil)
            if connection >= 0 {
                _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
                return LocalSocket(descriptor: connection)
            }
            switch errno {
            case EINTR, ECONNABORTED: continue
            case EAGAIN: return nil
            default: throw SystemError("accept a connection on", "the socket")
            }
        }
    }

    /// Connects to the socket at a path, without blocking.
    ///
    /// - Throws: EAGAIN if too many other connections wait to be accepted; ENAMETOOLONG if the path is too long (unix(7)).
    public convenience init(connectingTo path: String) throws(SystemError) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw SystemError("connect to", path, code: ENAMETOOLONG)
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        self.init(descriptor: try Self.make(SOCK_NONBLOCK))
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw SystemError("connect to", path) }
    }

    private static func make(_ flag: __socket_type) throws(SystemError) -> CInt {
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | flag.rawValue), 0)
        guard descriptor >= 0 else { throw SystemError("open", "a socket") }
        return descriptor
    }

    /// Another descriptor of the same socket, with `FD_CLOEXEC`. The caller closes it.
    func duplicate() -> CInt { fcntl(descriptor, F_DUPFD_CLOEXEC, 3) }

    /// Two sockets that are connected to each other.
    public static func pair() throws(SystemError) -> (LocalSocket, LocalSocket) {
        var ends: [CInt] = [-1, -1]
        guard socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw SystemError("open", "a pair of sockets")
        }
        return (LocalSocket(descriptor: ends[0]), LocalSocket(descriptor: ends[1]))
    }

    /// The user ID of the process that created the other end.
    public var peerUser: uid_t {
        get throws(SystemError) {
            var user: UInt32 = 0
            guard upgradelink_peer_user(descriptor, &user) == 0 else { throw SystemError("examine", "the socket") }
            return user
        }
    }

    /// Sends all bytes.
    ///
    /// - Parameter file: passed with the first byte; the receiver gets its own descriptor.
    public func send(_ bytes: [UInt8], passing file: OpenFile? = nil) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let passed = done == 0 ? file?.descriptor ?? -1 : -1
            let count = bytes[done...].withUnsafeBytes {
                Int(upgradelink_send(descriptor, $0.baseAddress, Int64($0.count), passed))
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw SystemError("write to", "the socket")
            }
            done += count
        }
    }

    /// Sends as many bytes as the other end can take now.
    ///
    /// - Returns: the number of bytes that were sent; 0 if the other end has not read what was sent before.
    public func sendNow(_ bytes: ArraySlice<UInt8>) throws(SystemError) -> Int {
        while true {
            let count = bytes.withUnsafeBytes {
                Int(upgradelink_send_now(descriptor, $0.baseAddress, Int64($0.count)))
            }
            if count >= 0 { return count }
            if errno == EAGAIN { return 0 }
            if errno != EINTR { throw SystemError("write to", "the socket") }
        }
    }

    /// Refuses everything that the other end may still send, files included.
    public func stopReceiving() { shutdown(descriptor, CInt(SHUT_RD)) }

    /// Ends the connection, even if other processes hold this end too.
    public func disconnect() { shutdown(descriptor, CInt(SHUT_RDWR)) }

    /// Whether the other end has closed the connection without having sent anything.
    public var isAbandoned: Bool {
        var byte: UInt8 = 0
        return recv(descriptor, &byte, 1, CInt(MSG_PEEK) | CInt(MSG_DONTWAIT)) == 0
    }

    /// Waits for one line, and for a file that was sent with it. Further files are closed.
    ///
    /// - Parameters:
    ///   - limit: bytes; a longer line is an EMSGSIZE error.
    ///   - seconds: the time limit; a line that is not complete by then is an ETIMEDOUT error.
    /// - Returns: nil if the other end closes before the line ends.
    public func receiveLine(limit: Int, within seconds: Double) throws(SystemError) -> (line: [UInt8], file: OpenFile?)?
    {
        let deadline = Clock.bootTime + seconds
        var line: [UInt8] = []
        var file: OpenFile?
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = try receive(into: &chunk, &file, until: deadline)
            if count == 0 { return nil }
            let end = chunk[..<count].firstIndex(of: 0x0A)
            line += chunk[..<(end ?? count)]
            if line.count > limit { throw SystemError("read", "the socket", code: EMSGSIZE) }
            if end != nil { return (line, file) }
        }
    }

    /// Waits until the other end closes, and returns everything that it has sent.
    ///
    /// - Parameters:
    ///   - limit: bytes; more are an EMSGSIZE error.
    ///   - seconds: the time limit, otherwise an ETIMEDOUT error.
    func receiveAll(limit: Int, within seconds: Double) throws(SystemError) -> [UInt8] {
        let deadline = Clock.bootTime + seconds
        var content: [UInt8] = []
        var file: OpenFile?
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = try receive(into: &chunk, &file, until: deadline)
            if count == 0 { return content }
            content += chunk[..<count]
            if content.count > limit { throw SystemError("read", "the socket", code: EMSGSIZE) }
        }
    }

    /// Waits for some bytes.
    ///
    /// - Parameter file: becomes the first file that is passed; further ones are closed at once.
    private func receive(
        into chunk: inout [UInt8], _ file: inout OpenFile?, until deadline: BootInstant
    ) throws(SystemError) -> Int {
        while true {
            let left: Seconds = deadline - Clock.bootTime
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = left > 0 ? poll(&waiting, 1, CInt(min(left, 1e6) * 1000) + 1) : 0
            if ready < 0, errno == EINTR { continue }
            guard ready > 0 else { throw SystemError("read", "the socket", code: ready == 0 ? ETIMEDOUT : errno) }
            var passed: CInt = -1
            let count = chunk.withUnsafeMutableBytes {
                Int(upgradelink_receive(descriptor, $0.baseAddress, Int64($0.count), &passed))
            }
            if passed >= 0 {
                let received = OpenFile(descriptor: passed, path: "the file that was handed over")
                file = file ?? received
            }
            if count >= 0 { return count }
            if errno != EINTR, errno != EAGAIN { throw SystemError("read", "the socket") }
        }
    }
}
