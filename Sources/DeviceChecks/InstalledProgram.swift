import Glibc
import Host

/// A program that root will run: an update module, a health program, the reboot command.
public enum InstalledProgram {
    /// Why the program cannot be run, or must not be; nil if it can.
    ///
    /// - Parameter path: absolute.
    public static func problem(of path: String) -> (text: String, remedy: String)? {
        var status = stat()
        guard stat(path, &status) == 0 else {
            return ("\(path) does not exist", "install it")
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            return ("\(path) is not a regular file", "put the program there")
        }
        guard status.st_mode & 0o111 != 0 else { return ("\(path) is not executable", "chmod +x \(path)") }
        if let mount = MountTable.current.mount(of: Files.resolved(path)), mount.isNoExec {
            return (
                "\(path) cannot be executed: \(mount.point) is mounted with noexec",
                "mount -o remount,exec \(mount.point), or move the program"
            )
        }
        // The kernel ignores this for root, but another user could replace what root runs.
        if status.st_uid != 0, geteuid() == 0 {
            return ("\(path) belongs to the user \(status.st_uid), who can change what root runs", "chown root \(path)")
        }
        if status.st_mode & 0o002 != 0 {
            return ("every user can change \(path), which root runs", "chmod o-w \(path)")
        }
        guard let interpreter = interpreter(of: path) else { return nil }
        return access(interpreter, X_OK) == 0
            ? nil : ("\(path) needs \(interpreter), which is not there or not executable", "install \(interpreter)")
    }

    /// Whether a program of this name is in one of the directories that a service searches (systemd.exec(5), `PATH`).
    public static func isInPath(_ name: String) -> Bool {
        ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"].contains {
            Files.isExecutable("\($0)/\(name)")
        }
    }

    /// The program of a script's first line (execve(2), "Interpreter scripts"); nil for other programs.
    static func interpreter(of path: String) -> String? {
        guard let file = try? Files.open(path) else { return nil }
        var bytes = [UInt8](repeating: 0, count: 256)
        guard let count = try? file.read(into: &bytes) else { return nil }
        let line = String(decoding: bytes.prefix(count).prefix { $0 != 0x0A }, as: UTF8.self)
        guard line.hasPrefix("#!") else { return nil }
        return line.dropFirst(2).split { $0 == " " || $0 == "\t" }.first.map(String.init)
    }
}
