import Glibc
import Host
import Synchronization

/// A TCP server that sends bytes on each connection and closes it: for responses that no HTTP library sends. Its address is its own: a
/// client of a server that had its port before does not reach it.
public final class RawServer: Sendable {
    private let address: String
    public var port: UInt16 { listener.port }
    private let listener: Listener
    private let log = Log()

    private final class Log: Sendable {
        let requests = Mutex<[String]>([])
    }

    /// - Parameter response: the pieces to send to the nth connection, with a pause after each.
    public init(
        address: String = Loopback.address(), _ response: @escaping @Sendable (Int) -> [(bytes: [UInt8], pause: Double)]
    ) throws {
        self.address = address
        listener = try Listener(address, backlog: 16) { [log] connection in
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let received = recv(connection, &buffer, buffer.count, 0)
            let request = String(decoding: buffer[..<max(received, 0)], as: UTF8.self)
            let count = log.requests.withLock {
                $0.append(request)
                return $0.count
            }
            for (bytes, pause) in response(count) {
                _ = bytes.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
                if pause > 0 { usleep(UInt32(pause * 1e6)) }
            }
            shutdown(connection, CInt(SHUT_WR))
            // Unread bytes would cause a reset, and the client would lose the response.
            var limit = 0
            while recv(connection, &buffer, buffer.count, 0) > 0, limit < 1000 { limit += 1 }
            close(connection)
        }
    }

    /// Address and port.
    public var authority: String { "\(address):\(listener.port)" }
    public var url: String { "http://\(authority)" }

    /// The request of each connection.
    public var requests: [String] { log.requests.withLock { $0 } }
}
