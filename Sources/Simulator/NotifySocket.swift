import Dispatch
import Glibc
import Host

/// The service manager's end of sd_notify(3). It receives the messages of a service.
public final class NotifySocket: Sendable {
    public let path: String
    private let descriptor: CInt

    /// - Parameter onMessage: called for each message, on a queue of this object. As with systemd 257, that does not include one of
    ///   more than 4,096 bytes.
    /// - Throws: `SystemError` if the socket cannot be bound to the path.
    public init(path: String, onMessage: @escaping @Sendable (String) -> Void) throws {
        self.path = path
        let descriptor = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard bound == 0 else { throw SystemError("bind", path) }
        self.descriptor = descriptor
        DispatchQueue(label: "notify").async {
            var buffer = [UInt8](repeating: 0, count: 8192)
            while true {
                let count = recv(descriptor, &buffer, buffer.count, 0)
                // Only `close()` ends it: otherwise the number would be another descriptor's when it is shut down.
                if count < 0 { continue }
                guard count > 0 else { break }
                if count > 4096 { continue }
                onMessage(String(decoding: buffer[..<count], as: UTF8.self))
            }
            Glibc.close(descriptor)
        }
    }

    /// Stops receiving messages.
    public func close() { shutdown(descriptor, CInt(SHUT_RDWR)) }
}
