import Glibc
import Host
import Simulator
import UpdateCore

/// Makes the artifact of a release in a temporary directory, next to the place where it is published.
struct ReleasePacking {
    private let source: String
    private let into: String
    private let temporary: TemporaryRelease
    private let interruption: Interruption

    /// The complete artifact, before it is published. Its signature is next to it.
    var artifact: String { "\(temporary.path)/artifact" }

    init(source: String, into: String, _ interruption: Interruption) throws {
        (self.source, self.into, self.interruption) = (source, into, interruption)
        let (inside, outside) = (Self.realPath(into), Self.realPath(source))
        guard inside != outside, !inside.hasPrefix(outside == "/" ? outside : outside + "/") else {
            throw CommandFailure(
                "\(into) is in \(source), so that each release would contain the earlier ones: choose another directory with --into",
                status: EX_USAGE)
        }
        // After this check: a refused directory is not changed.
        try Files.createDirectory(into, mode: 0o755)
        temporary = try TemporaryRelease(in: into)
    }

    func removeTemporary() { temporary.remove() }

    /// A path without symbolic links; its last names need not exist.
    private static func realPath(_ path: String) -> String {
        if let real = realpath(path, nil) {
            defer { free(real) }
            return String(cString: real)
        }
        let name = path.split(separator: "/").last ?? ""
        let above = path.hasPrefix("/") || path.split(separator: "/").count > 1
        guard !name.isEmpty else { return path }
        let place = realPath(above ? Files.directory(of: withoutSlash(path)) : ".")
        return (place == "/" ? "" : place) + "/\(name)"
    }

    private static func withoutSlash(_ path: String) -> String {
        path.hasSuffix("/") && path != "/" ? withoutSlash(String(path.dropLast())) : path
    }

    /// Whether a text is a relative path that needs no quoting in tar's expressions.
    static func isPlainPath(_ path: String) -> Bool {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return !parts.contains { $0.isEmpty || $0 == "." || $0 == ".." }
            && path.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "._-/".contains($0)) }
    }

    // MARK: the artifact

    /// Packs the directory. Names are sorted; owner, group, times and permissions do not depend on who packs it, and when:
    /// files are readable for all, and executable if they are for their owner. SOURCE_DATE_EPOCH sets the time of all files.
    ///
    /// - Parameters:
    ///   - versionFile: the path of a file that the archive gets in place of the directory's own.
    ///   - content: of this file.
    func pack(versionFile: String?, content: String) throws {
        let epoch = getenv("SOURCE_DATE_EPOCH").flatMap { Int(String(cString: $0)) } ?? 946_684_800
        var arguments = [
            "--create", "--force-local", "--file", artifact, "--sort=name", "--format=gnu", "--owner=0", "--group=0",
            "--numeric-owner",
            "--mtime=@\(epoch)", "--mode=a+rX,u+w,go-w",
        ]
        if let versionFile {
            let name = ".upgradelink-sim-version"
            try Files.replace("\(temporary.path)/\(name)", with: Array(content.utf8), mode: 0o644)
            // The name in the archive is another one, so that only the directory's own file is left out.
            arguments += [
                "--transform=flags=r;s|^\\./\(name)$|./\(versionFile)|", "--anchored", "--no-wildcards",
                "--exclude=./\(versionFile)", "-C", temporary.path, "./\(name)", "-C", Self.realPath(source), ".",
            ]
        } else {
            arguments += ["-C", source, "."]
        }
        var reason = ""
        let end = Program("tar", arguments, streams: .errors, timeLimit: nil).runAndWait { line in
            if reason.isEmpty { reason = line }
        }
        try interruption.check()
        guard end.succeeded else {
            throw CommandFailure(
                "\(source) cannot be packed: \(reason.isEmpty ? "tar: \(end)" : reason); nothing was released",
                status: EX_UNAVAILABLE)
        }
    }

    /// Copies the file as it is.
    func copy() throws {
        let (from, target) = (try Files.open(source), try OpenFile(artifact, O_WRONLY | O_CREAT | O_EXCL, mode: 0o644))
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = try from.read(into: &buffer)
            if count == 0 { break }
            try interruption.check()
            try target.write(Array(buffer[..<count]))
        }
    }

    /// Of the artifact, in bytes.
    var size: ByteCount { FileStatus(artifact)?.size ?? 0 }

    /// Gives the artifact its name, when its content is on the disk: the signature first, because a device may fetch both at once.
    func publish(as name: String) throws(SystemError) {
        for file in [artifact, "\(artifact).minisig"] {
            chmod(file, 0o644)
            try Files.open(file).synchronize()
        }
        try Files.rename("\(artifact).minisig", to: "\(into)/\(name).minisig")
        try Files.rename(artifact, to: "\(into)/\(name)")
    }
}
