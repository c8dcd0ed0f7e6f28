import Dispatch
import Glibc
import Host

/// A TCP proxy that disturbs each connection after a number of bytes from the server.
public final class FaultyProxy: Sendable {
    public enum Fault: String, CaseIterable, Sendable {
        /// FIN, as from a server that was stopped.
        case close
        /// RST, as from a server that crashed.
        case reset
        /// Nothing more, on a connection that stays open.
        case silence
        /// Meaningless bytes, 256 MiB of them.
        case garbage
        /// One byte every 0.1 s.
        case drip
    }

    public var port: UInt16 { listener.port }
    private let listener: Listener

    /// - Parameters:
    ///   - address: the address of the proxy and of the server, because a certificate may name it.
    ///   - offset: bytes of the server that pass unchanged.
    public init(address: String, server port: UInt16, fault: Fault, after offset: Int) throws {
        listener = try Listener(address, backlog: 16) { client in
            Thread.start { Self.serve(client, address, port, fault, offset) }
        }
    }

    private static func serve(_ client: CInt, _ address: String, _ port: UInt16, _ fault: Fault, _ offset: Int) {
        guard let server = try? Loopback.connect(address, port) else {
            close(client)
            return
        }
        let up = DispatchGroup()
        up.enter()
        Thread.start {
            pump(client, server)
            shutdown(server, CInt(SHUT_WR))
            up.leave()
        }
        var left = offset
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while left > 0 {
            let count = recv(server, &buffer, min(buffer.count, left), 0)
            guard count > 0, send(buffer, count, to: client) else { break }
            left -= count
        }
        if left == 0 { disturb(client, server, fault, untilHangUp: up) }
        // Ends the other thread if it still reads.
        shutdown(client, CInt(SHUT_RDWR))
        shutdown(server, CInt(SHUT_RDWR))
        up.wait()
        close(client)
        close(server)
    }

    private static func disturb(_ client: CInt, _ server: CInt, _ fault: Fault, untilHangUp up: DispatchGroup) {
        switch fault {
        case .close: break
        case .reset:
            var option = linger(l_onoff: 1, l_linger: 0)
            setsockopt(client, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout.size(ofValue: option)))
            // A disconnect (connect(2), AF_UNSPEC) sends the RST at once.
            var disconnect = sockaddr()
            disconnect.sa_family = sa_family_t(AF_UNSPEC)
            _ = Glibc.connect(client, &disconnect, socklen_t(MemoryLayout.size(ofValue: disconnect)))
        case .silence: _ = up.wait(timeout: .now() + 60)
        case .garbage:
            let bytes = (0..<65_536).map { UInt8(truncatingIfNeeded: $0 &* 197) }
            for _ in 0..<4096 where send(bytes, bytes.count, to: client) {}
        case .drip:
            var byte = [UInt8](repeating: 0, count: 1)
            while recv(server, &byte, 1, 0) == 1, send(byte, 1, to: client) {
                if up.wait(timeout: .now() + 0.1) == .success { return }
            }
        }
    }

    private static func pump(_ from: CInt, _ to: CInt) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(from, &buffer, buffer.count, 0)
            guard count > 0, send(buffer, count, to: to) else { return }
        }
    }

    private static func send(_ bytes: [UInt8], _ count: Int, to descriptor: CInt) -> Bool {
        bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, count, CInt(MSG_NOSIGNAL)) == count }
    }
}

extension Loopback {
    private static func name(_ address: String, _ port: UInt16) -> sockaddr_in {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        inet_pton(AF_INET, address, &name.sin_addr)
        return name
    }

    /// - Parameter backlog: connections that may wait for accept(2); the kernel does not respond to further ones.
    /// - Returns: a socket that listens on a port of the system's choice.
    public static func listen(_ address: String, backlog: CInt) throws -> (descriptor: CInt, port: UInt16) {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        var target = name(address, 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &target) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && Glibc.listen(descriptor, backlog) == 0
                    && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isListening else { throw SystemError("listen on", address) }
        return (descriptor, UInt16(bigEndian: target.sin_port))
    }

    public static func connect(_ address: String, _ port: UInt16) throws -> CInt {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        var target = name(address, port)
        let isConnected = withUnsafePointer(to: &target) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isConnected else {
            close(descriptor)
            throw SystemError("connect to", address)
        }
        return descriptor
    }
}
