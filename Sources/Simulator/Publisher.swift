import Glibc
import Host
import Subprocess
import SystemPackage

/// Makes and signs artifacts as a publisher does: with tar and minisign.
public struct Publisher: Sendable {
    public let folder: String
    /// The public key's base64 line.
    public let publicKey: String

    public struct Failure: Error, CustomStringConvertible { public var description: String }

    /// Makes a key pair in the folder.
    public init(folder: String) async throws {
        self.folder = folder
        try Files.createFolder(folder)
        try await execute("minisign", ["-G", "-f", "-W", "-p", "key.pub", "-s", "key.sec"], in: folder)
        let text = String(decoding: try Files.read("\(folder)/key.pub", limit: 4096), as: UTF8.self)
        publicKey = text.split(separator: "\n").last.map(String.init) ?? ""
    }

    /// Signs a file; the signature is beside it.
    public func sign(_ path: String, comment: String, legacy: Bool = false) async throws {
        try await execute(
            "minisign", ["-S"] + (legacy ? ["-l"] : []) + ["-s", "key.sec", "-m", path, "-t", comment], in: folder)
    }

    /// A tar archive with a version file, as the `directory` module unpacks it, and its signature.
    public func release(
        _ file: String, urlKey: String, versionCode: Int, ballast: Int = 0, signed: String? = nil
    ) async throws {
        let content = "\(folder)/content-\(versionCode)"
        try Files.createFolder(content)
        try Files.replace(
            "\(content)/version", with: Array("VERSION=v\(versionCode)\nVERSION_CODE=\(versionCode)\n".utf8),
            mode: 0o644)
        try await execute("sh", ["-c", "head -c \(ballast) /dev/urandom >ballast"], in: content)
        try await execute("tar", ["-cf", file, "-C", content, "version", "ballast"], in: folder)
        try await sign(file, comment: signed ?? "urlKey=\(urlKey) versionCode=\(versionCode)")
    }
}

/// Runs a program of the system to its end.
///
/// - Returns: what it wrote to its standard output, at most 16 MiB.
@discardableResult
public func execute(_ program: String, _ arguments: [String], in folder: String = "/") async throws -> String {
    let result = try await Subprocess.run(
        .name(program), arguments: .init(arguments), workingDirectory: FilePath(folder),
        output: .string(limit: 16 << 20),
        error: .string(limit: 16_384))
    guard result.terminationStatus.isSuccess else {
        throw Publisher.Failure(description: "\(program) \(arguments.joined(separator: " ")): \(result.standardError)")
    }
    return result.standardOutput
}
