import Glibc
import Host

/// A program that root will run: an update module, a health program, the reboot command.
public enum InstalledProgram {
    public typealias Problem = (text: String, remedy: String)

    /// Why the program cannot be run, or must not be; nil if it can.
    ///
    /// - Parameter path: absolute.
    public static func problem(of path: String) -> Problem? {
        guard let status = FileStatus(path) else {
            return Files.isLink(path)
                ? ("\(path) is a symbolic link that leads nowhere", "correct it, or install the program")
                : ("\(path) does not exist", "install it")
        }
        guard status.kind == .regular else {
            return ("\(path) is not a regular file", "put the program there")
        }
        guard status.mode & 0o111 != 0 else { return ("\(path) is not executable", "chmod +x \(path)") }
        if let mount = MountTable.current.mount(of: Files.resolved(path)), mount.isNoExec {
            return (
                "\(path) cannot be executed: \(mount.point) is mounted with noexec",
                "mount -o remount,exec \(mount.point), or move the program"
            )
        }
        return trust(path, status) ?? ProgramFile.problem(of: path)
    }

    /// Whether another user could replace what root runs. The kernel ignores all of this for root.
    private static func trust(_ path: String, _ status: FileStatus) -> Problem? {
        if status.user != 0, geteuid() == 0 {
            return ("\(path) belongs to the user \(status.user), who can change what root runs", "chown root \(path)")
        }
        if status.mode & 0o002 != 0 {
            let chmod = status.mode & 0o020 == 0 ? "chmod o-w" : "chmod go-w"
            return ("every user can change \(path), which root runs", "\(chmod) \(path)")
        }
        // As FileStatus.isWritableByOthers: a user may be added to any group later.
        if status.mode & 0o020 != 0, geteuid() == 0 {
            return ("the group \(status.group) can change \(path), which root runs", "chmod g-w \(path)")
        }
        return nil
    }

    /// Whether a program of this name is in one of the directories that a service searches (systemd.exec(5), `PATH`).
    public static func isInPath(_ name: String) -> Bool {
        ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"].contains {
            !Access.isDirectory("\($0)/\(name)") && Files.isExecutable("\($0)/\(name)")
        }
    }
}
