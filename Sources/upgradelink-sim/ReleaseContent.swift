import Glibc
import Host

/// Whether the update module `directory` can install a source: a device that receives something else refuses it after the
/// download.
struct ReleaseContent {
    private let source: String
    private let interruption: Interruption

    init(_ source: String, _ interruption: Interruption) {
        (self.source, self.interruption) = (source, interruption)
    }

    /// - Parameter versionFile: a path in the directory at which the archive gets another file.
    /// - Throws: if the content has something that no device installs, or cannot be read.
    func requireInstallable(_ kind: SourceKind, versionFile: String?) throws {
        switch kind {
        case .directory:
            do {
                try requirePlainFiles(Directory(source))
                if let versionFile { try requireReplaceable(versionFile) }
            } catch let error as SystemError {
                throw CommandFailure("\(error); nothing was released", status: EX_NOINPUT)
            }
        case .file: try requireArchive()
        }
    }

    // MARK: a directory

    private func requirePlainFiles(_ top: Directory) throws {
        var walk = try DirectoryWalk(top)
        while let step = try walk.next() {
            guard case .entry(let directory, let name, let status) = step else { continue }
            switch status.kind {
            case .regular, .symbolicLink: break
            case .directory:
                try interruption.check()
                do throws(SystemError) {
                    try walk.enter()
                } catch {
                    // tar also packs what is mounted in the directory.
                    guard error.code == EXDEV else { throw error }
                    try requirePlainFiles(directory.directory(name))
                }
            case .device, .pipe, .socket: throw unusable("\(directory.path(of: name)) is a \(status.kind)")
            }
        }
    }

    /// Only a regular file can be replaced, and only in a directory of the source: what is behind a link is not in the archive.
    private func requireReplaceable(_ versionFile: String) throws {
        var path = source
        let names = versionFile.split(separator: "/")
        for (index, name) in names.enumerated() {
            path += "/\(name)"
            var status = stat()
            guard lstat(path, &status) == 0 else {
                if errno == ENOENT { return }
                throw SystemError("examine", path)
            }
            let isLast = index == names.count - 1
            guard status.st_mode & S_IFMT == (isLast ? S_IFREG : S_IFDIR) else {
                throw CommandFailure(
                    "--version-file \(versionFile): \(path) is no \(isLast ? "regular file" : "directory"): choose another path, "
                        + "or remove it from \(source)", status: EX_DATAERR)
            }
        }
    }

    // MARK: a file

    private func requireArchive() throws {
        var (reason, special, count) = ("", "", 0)
        // The list goes to standard error, whose lines are read. tar quotes line breaks in names.
        let list = Program(
            "sh", ["-c", "exec tar --force-local -tvf \"$1\" >&2", "sh", source], streams: .errors, timeLimit: nil)
        let end = list.runAndWait { line in
            if line.hasPrefix("tar"), reason.isEmpty { reason = line }
            count += 1
            // The first letter of the permissions, such as brw-rw----.
            if special.isEmpty, let first = line.first, "bcp".contains(first), line.dropFirst(10).first == " " {
                special = line
            }
        }
        try interruption.check()
        switch end {
        case .exited(127): throw CommandFailure("tar is missing: install it (apt install tar)", status: EX_UNAVAILABLE)
        case .couldNotStart(let reason):
            throw CommandFailure("\(source) cannot be examined: \(reason)", status: EX_UNAVAILABLE)
        default: break
        }
        guard end.succeeded, count > 0 else {
            throw CommandFailure(
                "\(source) is no archive that tar can unpack, and the module directory needs one: "
                    + "\(reason.isEmpty ? "it is empty" : reason); nothing was released", status: EX_DATAERR)
        }
        if !special.isEmpty { throw unusable("\(source) has a device or a pipe: \(special)") }
    }

    private func unusable(_ what: String) -> CommandFailure {
        CommandFailure(
            "\(what): devices install only files, directories and links: leave it out; nothing was released",
            status: EX_DATAERR)
    }
}
