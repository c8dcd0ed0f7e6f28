import Glibc
import Host

/// What another user, or damage, may have put in place of a file: its reader would wait, or would never reach an end.
public enum Planted: String, CaseIterable, Sendable {
    case fifo, directory, socket, device, linkToDirectory, danglingLink, endlessFile

    public func plant(at path: String) throws {
        switch self {
        case .fifo: try check(mkfifo(path, 0o666), path)
        case .directory:
            try Files.createDirectory(path)
            try Files.replace("\(path)/content", with: [1])
        case .socket: try check(mknod(path, S_IFSOCK | 0o666, 0), path)
        case .device: try check(symlink("/dev/zero", path), path)
        case .linkToDirectory: try check(symlink("/usr", path), path)
        case .danglingLink: try check(symlink("/nonexistent/file", path), path)
        case .endlessFile:
            // A sparse file of a terabyte.
            try Files.replace(path, with: [0x7B])
            try check(truncate(path, 1 << 40), path)
        }
    }

    /// What the error of a reader says.
    public var complaint: String {
        switch self {
        case .fifo: "it is a FIFO, not a regular file"
        case .directory, .linkToDirectory: "it is a directory, not a regular file"
        case .socket: "it is a socket, not a regular file"
        case .device: "it is a device, not a regular file"
        case .danglingLink: "No such file or directory"
        case .endlessFile: "File too large"
        }
    }

    private func check(_ result: CInt, _ path: String) throws {
        guard result == 0 else { throw SystemError("plant", path) }
    }
}
