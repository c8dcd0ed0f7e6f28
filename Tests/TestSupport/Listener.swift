import Glibc
import Host

/// A socket that accepts connections on a thread of its own until this object is released.
///
/// The thread closes the socket, because only it knows when the number is used no more: closed by another thread, the number would become
/// another socket, and this thread would take its connections.
final class Listener: Sendable {
    let port: UInt16
    private let descriptor: CInt

    /// - Parameter take: called with each connection, which it closes, on the thread that accepts.
    init(_ address: String, backlog: CInt, take: @escaping @Sendable (CInt) -> Void) throws {
        let (descriptor, port) = try Loopback.listen(address, backlog: backlog)
        self.descriptor = descriptor
        self.port = port
        Thread.start {
            while true {
                let connection = accept(descriptor, nil, nil)
                if connection >= 0 {
                    take(connection)
                } else if errno == EINVAL {
                    // It was shut down.
                    close(descriptor)
                    return
                }
            }
        }
    }

    deinit { shutdown(descriptor, CInt(SHUT_RDWR)) }
}
