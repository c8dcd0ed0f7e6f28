import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage

/// nginx as an https proxy in front of a server, with a certificate of a private authority.
public struct TLSFront: Sendable {
    public let address = Loopback.address()
    private let scratch: Scratch

    public static let port: UInt16 = 8443
    public var url: String { "https://\(address):\(Self.port)" }
    public var caBundle: String { "\(scratch.path)/ca.crt" }
    public var clientCertificate: String { "\(scratch.path)/client.crt" }
    public var clientKey: String { "\(scratch.path)/client.key" }

    /// - Parameters:
    ///   - locations: more lines of nginx's configuration, in the block `server`.
    ///   - validDays: for how many days from now its certificate is valid; it has expired if this is negative.
    ///   - needsClient: whether clients need a certificate of the same authority.
    public static func run<Value: Sendable>(
        of backend: UInt16, locations: String = "", needsClient: Bool = false, validDays: Int = 3650,
        body: @Sendable (TLSFront) async throws -> Value
    ) async throws -> Value {
        let front = try await TLSFront(backend, locations, needsClient, validDays)
        var options = PlatformOptions()
        options.teardownSequence = [.gracefulShutDown(allowedDurationToNextStep: .seconds(2))]
        let result = try await Subprocess.run(
            .name("nginx"), arguments: ["-p", front.scratch.path, "-c", "nginx.conf", "-e", "stderr"],
            platformOptions: options,
            input: .none, output: .discarded, error: .discarded
        ) { nginx in
            guard await eventually(within: 10, { front.isListening }) else {
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

    private init(
        _ backend: UInt16, _ locations: String, _ needsClient: Bool, _ validDays: Int
    ) async throws {
        scratch = try Scratch()
        let directory = scratch.path
        try await execute(
            "openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650",
                "-subj", "/CN=Test CA", "-keyout", "ca.key", "-out", "ca.crt",
            ],
            in: directory)
        for name in ["server", "client"] {
            try scratch.write("\(name).ext", "subjectAltName=IP:\(address)")
            try await execute(
                "openssl",
                [
                    "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=\(name)",
                    "-keyout", "\(name).key", "-out", "\(name).csr",
                ],
                in: directory)
            try await execute(
                "openssl",
                [
                    "x509", "-req", "-in", "\(name).csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                    "-days", "\(validDays)", "-extfile", "\(name).ext", "-out", "\(name).crt",
                ],
                in: directory)
        }
        try scratch.write(
            "nginx.conf",
            """
            daemon off; master_process off; pid \(directory)/nginx.pid; error_log stderr;
            events {}
            http {
                access_log off;
                client_body_temp_path \(directory)/t1; proxy_temp_path \(directory)/t2; fastcgi_temp_path \(directory)/t3;
                uwsgi_temp_path \(directory)/t4; scgi_temp_path \(directory)/t5;
                server {
                    listen \(address):8443 ssl;
                    ssl_certificate \(directory)/server.crt; ssl_certificate_key \(directory)/server.key;
                    \(needsClient ? "ssl_client_certificate \(directory)/ca.crt; ssl_verify_client on;" : "")
                    \(locations)
                    location / { proxy_pass http://127.0.0.1:\(backend); proxy_set_header Host $http_host; proxy_pass_header Date; proxy_max_temp_file_size 0; }
                }
            }
            """)
    }

    private var isListening: Bool {
        guard let descriptor = try? Loopback.connect(address, Self.port) else { return false }
        close(descriptor)
        return true
    }
}

/// All of 127.0.0.0/8 is this machine (RFC 5735): a test with its own address there shares its ports with no other test.
public enum Loopback {
    public static func address() -> String {
        "127.\(UInt8.random(in: 1...254)).\(UInt8.random(in: 0...255)).\(UInt8.random(in: 1...254))"
    }

    /// An address where nothing listens.
    public static var unusedPort: String { "http://\(address()):8000" }
}
