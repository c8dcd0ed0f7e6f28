import Glibc
import Host
import Synchronization

/// A TCP server that answers each connection with bytes and closes it: for what no HTTP library would send.
public final class RawServer: Sendable {
    public let port: UInt16
    private let descriptor: CInt
    private let heard = Heard()

    private final class Heard: Sendable {
        let requests = Mutex<[String]>([])
    }

    /// - Parameter answer: the pieces to send to the nth connection, with a pause after each.
    public init(_ answer: @escaping @Sendable (Int) -> [(bytes: [UInt8], pause: Double)]) throws {
        let (descriptor, port) = try Loopback.listen("127.0.0.1", backlog: 16)
        self.descriptor = descriptor
        self.port = port
        Thread.start { [heard] in
            var count = 0
            while true {
                let connection = accept(descriptor, nil, nil)
                guard connection >= 0 else { return }
                count += 1
                var buffer = [UInt8](repeating: 0, count: 65_536)
                let received = recv(connection, &buffer, buffer.count, 0)
                heard.requests.withLock { $0.append(String(decoding: buffer[..<max(received, 0)], as: UTF8.self)) }
                for (bytes, pause) in answer(count) {
                    _ = bytes.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
                    if pause > 0 { usleep(UInt32(pause * 1e6)) }
                }
                shutdown(connection, CInt(SHUT_WR))
                // Read to the end, so that what was sent is not lost to a reset.
                var limit = 0
                while recv(connection, &buffer, buffer.count, 0) > 0, limit < 1000 { limit += 1 }
                close(connection)
            }
        }
    }

    deinit {
        shutdown(descriptor, CInt(SHUT_RDWR))
        close(descriptor)
    }

    public var url: String { "http://127.0.0.1:\(port)" }

    /// What each connection asked.
    public var requests: [String] { heard.requests.withLock { $0 } }
}
