import Glibc
import Host
import Subprocess
import SystemPackage

/// Makes and signs artifacts with tar and minisign, as a publisher does.
public struct Publisher: Sendable {
    public let directory: String
    /// The public key's base64 line.
    public let publicKey: String

    public struct Failure: Error, CustomStringConvertible { public var description: String }

    /// Makes a key pair in the directory, which is created if it does not exist.
    public init(directory: String) async throws {
        self.directory = directory
        try Files.createDirectory(directory)
        try await execute("minisign", ["-G", "-f", "-W", "-p", "key.pub", "-s", "key.sec"], in: directory)
        let text = String(decoding: try Files.read("\(directory)/key.pub", limit: 4096), as: UTF8.self)
        publicKey = text.split(separator: "\n").last.map(String.init) ?? ""
    }

    /// Signs a file. The signature file is next to it, as `FILE.minisig`.
    ///
    /// - Parameters:
    ///   - comment: the trusted comment.
    ///   - legacy: sign the file itself instead of its digest.
    public func sign(_ path: String, comment: String, legacy: Bool = false) async throws {
        try await execute(
            "minisign", ["-S"] + (legacy ? ["-l"] : []) + ["-s", "key.sec", "-m", path, "-t", comment], in: directory)
    }

    /// Makes a tar archive with a version file for the `directory` module, and signs it.
    ///
    /// - Parameters:
    ///   - ballast: bytes of random data in the archive.
    ///   - signed: the trusted comment; nil for one that matches the other arguments.
    public func release(
        _ file: String, urlKey: String, versionCode: Int, ballast: Int = 0, signed: String? = nil
    ) async throws {
        let content = "\(directory)/content-\(versionCode)"
        try Files.createDirectory(content)
        try Files.replace(
            "\(content)/version", with: Array("VERSION=v\(versionCode)\nVERSION_CODE=\(versionCode)\n".utf8),
            mode: 0o644)
        try await execute("sh", ["-c", "head -c \(ballast) /dev/urandom >ballast"], in: content)
        try await execute("tar", ["-cf", file, "-C", content, "version", "ballast"], in: directory)
        try await sign(file, comment: signed ?? "urlKey=\(urlKey) versionCode=\(versionCode)")
    }
}

/// Runs a program and waits until it ends.
///
/// - Returns: its standard output, at most 16 MiB.
/// - Throws: ``Publisher/Failure`` with its standard error if it fails.
@discardableResult
public func execute(_ program: String, _ arguments: [String], in directory: String = "/") async throws -> String {
    let result = try await Subprocess.run(
        .name(program), arguments: .init(arguments), workingDirectory: FilePath(directory),
        output: .string(limit: 16 << 20),
        error: .string(limit: 16_384))
    guard result.terminationStatus.isSuccess else {
        throw Publisher.Failure(description: "\(program) \(arguments.joined(separator: " ")): \(result.standardError)")
    }
    return result.standardOutput
}
