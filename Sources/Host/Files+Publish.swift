import Glibc

extension Files {
    /// Replaces a file that every user may read, whatever the umask is: a reader finds the old file or the new one. Neither is
    /// synced, because the file is of no use after a power cut.
    public static func publish(_ path: String, _ bytes: [UInt8]) throws(SystemError) {
        let temporary = path + ".new"
        do throws(SystemError) {
            // A new file: what another user left under this name is not written to.
            unlink(temporary)
            let file = try OpenFile(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
            try file.write(bytes)
            guard fchmod(file.descriptor, 0o644) == 0 else { throw SystemError("change the mode of", temporary) }
            guard Glibc.rename(temporary, path) == 0 else { throw SystemError("replace", path) }
        } catch {
            unlink(temporary)
            throw error
        }
    }
}
