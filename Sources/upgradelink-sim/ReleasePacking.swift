import Glibc
import Host
import Simulator

/// Makes the artifact of a release in a temporary directory, next to the place where it is published.
struct ReleasePacking {
    private let source: String
    private let into: String
    private let temporary: String

    /// The complete artifact, before it is published. Its signature is next to it.
    var artifact: String { "\(temporary)/artifact" }

    init(source: String, into: String) throws {
        (self.source, self.into) = (source, into)
        let (inside, outside) = (Self.realPath(into), Self.realPath(source))
        guard inside != outside, !inside.hasPrefix(outside + "/") else {
            throw CommandFailure(
                "\(into) is in \(source), so that each release would contain the earlier ones: choose another directory with --into",
                status: EX_USAGE)
        }
        temporary = try Files.createTemporaryDirectory("\(into)/.release")
    }

    func removeTemporary() { try? Files.removeTree(temporary) }

    private static func realPath(_ path: String) -> String {
        guard let real = realpath(path, nil) else { return path }
        defer { free(real) }
        return String(cString: real)
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
            "--create", "--file", artifact, "--sort=name", "--format=gnu", "--owner=0", "--group=0", "--numeric-owner",
            "--mtime=@\(epoch)", "--mode=a+rX,u+w,go-w",
        ]
        if let versionFile {
            let name = ".upgradelink-sim-version"
            try Files.replace("\(temporary)/\(name)", with: Array(content.utf8), mode: 0o644)
            // The name in the archive is another one, so that only the directory's own file is left out.
            arguments += [
                "--transform=flags=r;s|^\\./\(name)$|./\(versionFile)|", "--anchored", "--no-wildcards",
                "--exclude=./\(versionFile)", "-C", temporary, "./\(name)", "-C", Self.realPath(source), ".",
            ]
        } else {
            arguments += ["-C", source, "."]
        }
        var reason = ""
        let end = Program("tar", arguments, streams: .errors, timeLimit: nil).runAndWait { line in
            if reason.isEmpty { reason = line }
        }
        guard end.succeeded else {
            throw CommandFailure(
                "\(source) cannot be packed: \(reason.isEmpty ? "tar: \(end)" : reason); nothing was released",
                status: EX_UNAVAILABLE)
        }
    }

    /// Copies the file as it is.
    func copy() throws(SystemError) {
        let (from, target) = (try Files.open(source), try OpenFile(artifact, O_WRONLY | O_CREAT | O_EXCL, mode: 0o644))
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = try from.read(into: &buffer)
            if count == 0 { break }
            try target.write(Array(buffer[..<count]))
        }
        try target.synchronize()
    }

    /// Bytes.
    var size: Int {
        var status = stat()
        let path = Files.exists(artifact) ? artifact : published
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }
    private var published = ""

    /// Gives the artifact its name: the signature first, because a device may fetch both at once.
    mutating func publish(as name: String) throws(SystemError) {
        published = "\(into)/\(name)"
        chmod(artifact, 0o644)
        chmod("\(artifact).minisig", 0o644)
        try Files.rename("\(artifact).minisig", to: "\(published).minisig")
        try Files.rename(artifact, to: published)
    }
}
