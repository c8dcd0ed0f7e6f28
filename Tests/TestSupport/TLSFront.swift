import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage

/// nginx in front of a server, for https: with a certificate of its own making.
public struct TLSFront: Sendable {
    public let port: UInt16
    private let scratch: Scratch

    public var url: String { "https://127.0.0.1:\(port)" }
    public var caBundle: String { "\(scratch.path)/ca.crt" }
    public var clientCertificate: String { "\(scratch.path)/client.crt" }
    public var clientKey: String { "\(scratch.path)/client.key" }

    /// - Parameters:
    ///   - locations: more of nginx's configuration, inside the server.
    ///   - needsClient: only for clients that show a certificate of the same authority.
    public static func run<Value: Sendable>(
        of backend: UInt16, locations: String = "", needsClient: Bool = false,
        body: @Sendable (TLSFront) async throws -> Value
    ) async throws -> Value {
        let front = try await TLSFront(backend, locations, needsClient)
        var options = PlatformOptions()
        options.teardownSequence = [.gracefulShutDown(allowedDurationToNextStep: .seconds(2))]
        let result = try await Subprocess.run(
            .name("nginx"), arguments: ["-p", front.scratch.path, "-c", "nginx.conf", "-e", "stderr"],
            platformOptions: options,
            input: .none, output: .discarded, error: .discarded
        ) { nginx in
            guard await eventually(within: 10, { front.answers }) else {
                throw SystemError("start", "nginx", code: ECONNREFUSED)
            }
            let value: Value
            do {
                value = try await body(front)
            } catch {
                try? nginx.send(signal: .terminate)
                throw error
            }
            try nginx.send(signal: .terminate)
            return value
        }
        return result.closureResult
    }

    private init(_ backend: UInt16, _ locations: String, _ needsClient: Bool) async throws {
        scratch = try Scratch()
        let folder = scratch.path
        try await execute(
            "openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650",
                "-subj", "/CN=Test CA", "-keyout", "ca.key", "-out", "ca.crt",
            ],
            in: folder)
        for name in ["server", "client"] {
            try scratch.write("\(name).ext", "subjectAltName=IP:127.0.0.1")
            try await execute(
                "openssl",
                [
                    "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=\(name)",
                    "-keyout", "\(name).key", "-out", "\(name).csr",
                ],
                in: folder)
            try await execute(
                "openssl",
                [
                    "x509", "-req", "-in", "\(name).csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                    "-days", "3650", "-extfile", "\(name).ext", "-out", "\(name).crt",
                ],
                in: folder)
        }
        port = try Self.freePort()
        try scratch.write(
            "nginx.conf",
            """
            daemon off; master_process off; pid \(folder)/nginx.pid; error_log stderr;
            events {}
            http {
                access_log off;
                client_body_temp_path \(folder)/t1; proxy_temp_path \(folder)/t2; fastcgi_temp_path \(folder)/t3;
                uwsgi_temp_path \(folder)/t4; scgi_temp_path \(folder)/t5;
                server {
                    listen 127.0.0.1:\(port) ssl;
                    ssl_certificate \(folder)/server.crt; ssl_certificate_key \(folder)/server.key;
                    \(needsClient ? "ssl_client_certificate \(folder)/ca.crt; ssl_verify_client on;" : "")
                    \(locations)
                    location / { proxy_pass http://127.0.0.1:\(backend); proxy_set_header Host $http_host; proxy_max_temp_file_size 0; }
                }
            }
            """)
    }

    private var answers: Bool {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        return Self.withLoopback(port) { connect(descriptor, $0, $1) == 0 }
    }

    /// A port nobody listens on just now.
    public static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        guard withLoopback(0, { bind(descriptor, $0, $1) == 0 }) else { throw SystemError("bind", "127.0.0.1") }
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(descriptor, $0, &length) }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    private static func withLoopback(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Bool) -> Bool {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }
}
