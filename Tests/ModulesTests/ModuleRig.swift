import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport

/// The real program of a module, and the file trees of installations one after another, without an installer.
struct ModuleRig: Sendable {
    /// The user who plants files.
    static let stranger: uid_t = 65_534

    let scratch: Scratch
    let module: String

    init(_ module: String) throws {
        scratch = try Scratch()
        self.module = module
        chmod(scratch.path, 0o755)
        umask(0o022)
    }

    var path: String { scratch.path }

    /// Creates the file tree of an installation, with an artifact that was written before.
    ///
    /// - Parameter options: `install.files`; `@ROOT@` stands for the directory of the test.
    func newTree(_ options: [String: String], version: Int = 2, artifact: String = "artifact") throws {
        try Files.removeTree("\(path)/tree")
        for directory in ["tree/header", "tree/files", "tree/tmp"] { try Files.createDirectory("\(path)/\(directory)") }
        chmod("\(path)/tree", 0o700)
        try scratch.write("tree/header/artifact_name", "device-\(version)")
        for (name, text) in options { try scratch.write("tree/files/\(name)", text.replacing("@ROOT@", with: path)) }
        guard scratch.exists(artifact) else { return }
        try Files.replace("\(path)/tree/files/artifact", with: Files.read("\(path)/\(artifact)", limit: 64 << 20))
    }

    struct End: Sendable {
        var succeeded: Bool
        var output: String
        var errors: String
        var lastError: String { errors.split(separator: "\n").last.map(String.init) ?? "" }
    }

    /// Enters a state.
    @discardableResult
    func run(_ state: String, environment: [String: String] = [:]) async throws -> End {
        var variables: [Subprocess.Environment.Key: String?] = [:]
        for (name, value) in environment { variables[.init(stringLiteral: name)] = value }
        let result = try await Subprocess.run(
            .path(FilePath("\(modulesDirectory)/\(module)")), arguments: [state, "\(path)/tree"],
            environment: .inherit.updating(variables), workingDirectory: FilePath("\(path)/tree"),
            output: .string(limit: 65_536), error: .string(limit: 65_536))
        return End(
            succeeded: result.terminationStatus.isSuccess, output: result.standardOutput,
            errors: result.standardError)
    }

    /// Enters a state, which must succeed, and returns the calls of the module.
    func record(_ state: String) async throws -> CallLog {
        let log = try CallLog(scratch)
        let end = try await run(state, environment: log.environment)
        guard end.succeeded else { throw Failure(description: "\(state): \(end.errors)") }
        return log
    }

    /// Enters the states of a successful installation.
    func install() async throws {
        for state in ["Download", "ArtifactInstall", "ArtifactCommit", "Cleanup"] {
            let end = try await run(state)
            guard end.succeeded else { throw Failure(description: "\(state): \(end.errors)") }
        }
    }

    struct Failure: Error, CustomStringConvertible { let description: String }

    /// Enters a state, and kills the module before one of its calls.
    ///
    /// - Parameter call: the number of the call, from 1.
    /// - Returns: false if there are fewer calls.
    func runKilled(_ state: String, before call: Int) async throws -> Bool {
        try Files.removeTree("\(path)/crash")
        try Files.createDirectory("\(path)/crash")
        try await run(
            state,
            environment: [
                "LD_PRELOAD": "\(programsDirectory)/libfaultydisk.so", "CRASH_DIRECTORY": "\(path)/crash",
                "CRASH_AT": "\(call)", "CRASH_PROGRAM": module,
            ])
        return scratch.exists("crash/hit")
    }

    // MARK: what is on the disk

    /// Gives a file, or a link itself, to the user who plants files.
    func giveAway(_ name: String) { lchown("\(path)/\(name)", Self.stranger, Self.stranger) }

    /// Type and permissions, user and group: "100755 0:0"; empty if there is no file.
    func status(_ name: String) -> String {
        var status = stat()
        guard lstat("\(path)/\(name)", &status) == 0 else { return "" }
        return "\(String(status.st_mode, radix: 8)) \(status.st_uid):\(status.st_gid)"
    }

    /// The names in a directory, sorted.
    func names(_ directory: String) throws -> [String] { try Files.list("\(path)/\(directory)") }

    /// The number of a file; nil if there is none.
    func inode(_ name: String) -> UInt64? { FileStatus("\(path)/\(name)", followsLinks: false)?.identity.inode }

    func read(_ name: String) -> String? { try? scratch.read(name) }
}

/// Only root can give files to other users and mount something.
let isRoot = getuid() == 0
