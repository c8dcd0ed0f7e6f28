import Glibc
import Host
import UpdateCore

/// Why a path cannot be used by this process, and what the operator does about it.
struct Access {
    /// Directories that the unit of the agent hides from it, with the setting that does so.
    let hidden: [String: String]
    /// Directories that systemd creates, and gives to the agent, when it starts the unit.
    let created: Set<String>

    /// The directory that hides this path from the agent, and the setting of the unit that does so.
    func hiding(_ path: String) -> (directory: String, setting: String)? {
        hidden.sorted { $0.key < $1.key }.first { path == $0.key || path.hasPrefix("\($0.key)/") }
            .map { ($0.key, $0.value) }
    }

    /// What to do if a file cannot be read; nil if reading is not what fails.
    func remedy(forReading path: String, option: String) -> String? {
        do throws(SystemError) {
            _ = try Files.read(path, limit: 65_536)
            return nil
        } catch {
            return remedy(for: error, path: path, option: option)
        }
    }

    func remedy(for error: SystemError, path: String, option: String) -> String {
        if let (directory, setting) = hiding(Files.resolved(path)) ?? hiding(path) {
            return "upgradelinkd.service hides \(directory) from the agent (\(setting)): "
                + "move it to another directory, and set \(option)"
        }
        switch error.code {
        case EACCES:
            if let directory = Self.closedDirectory(onTheWayTo: path) {
                return "let the user upgradelinkd enter \(directory): chmod o+x \(directory)"
            }
            return "let the user upgradelinkd read it: chgrp upgradelinkd \(path) && chmod g+r \(path)"
        case ENOENT, ENOTDIR: return "create it, or set \(option)"
        case EISDIR, EINVAL: return "set \(option) to a regular file"
        case EFBIG: return "set \(option) to the right file"
        default: return "check the file system, or set \(option)"
        }
    }

    /// The first directory on the way to a path that this process cannot enter.
    static func closedDirectory(onTheWayTo path: String) -> String? {
        var directory = ""
        for name in Files.directory(of: path).split(separator: "/") {
            directory += "/\(name)"
            if access(directory, X_OK) != 0, errno == EACCES { return directory }
        }
        return nil
    }

    static func isDirectory(_ path: String) -> Bool {
        FileStatus(path)?.kind == .directory
    }

    /// The link that prevents that a missing directory is created; nil if none does.
    private static func danglingLink(onTheWayTo path: String) -> String? {
        var place = path
        while !Files.exists(place), errno == ENOENT, place != "/", place != "." {
            if Files.isLink(place) { return place }
            place = Files.directory(of: place)
        }
        return nil
    }

    /// Whether this process can create the missing directories of a path.
    private static func canCreate(_ path: String) -> Bool {
        var above = Files.directory(of: path)
        while !Files.exists(above), above != "/", above != "." { above = Files.directory(of: above) }
        return Files.isWritable(above)
    }

    /// The agent must be able to create files in the directory, which must have space for them.
    func problem(of directory: AgentNeeds.Directory, name: String) -> Finding? {
        let (path, option) = (directory.path, directory.option)
        if let (hider, setting) = hiding(path) {
            return .bad(
                name, "\(option): upgradelinkd.service hides \(hider) from the agent (\(setting))",
                "set \(option) to another directory")
        }
        if let link = Self.danglingLink(onTheWayTo: path) {
            return .bad(
                name, "\(link) (\(option)) is a symbolic link that points nowhere",
                "create the directory that it names (readlink \(link)), or remove the link")
        }
        if Files.exists(path), !Self.isDirectory(path) {
            return .bad(
                name, "\(path) (\(option)) is not a directory", "move it away, or set \(option) to a directory")
        }
        guard Glibc.access(path, W_OK | X_OK) == 0 else {
            let code = errno
            // The agent has not been started yet: systemd, or the agent itself, creates it.
            if code == ENOENT, created.contains(path) || Self.canCreate(path) { return nil }
            let reason = String(cString: strerror(code))
            return .bad(name, "the agent cannot write to \(path) (\(option)): \(reason)", remedy(code, path, option))
        }
        guard let free = try? Files.freeSpace(at: path), let hasNoFreeInode = Files.hasNoFreeInode(at: path) else {
            return nil
        }
        if free < directory.minimum {
            return .bad(
                name, "the file system of \(path) (\(option)) is full, so the agent cannot store its state",
                "free some space: df \(path)")
        }
        if hasNoFreeInode {
            return .bad(
                name, "the file system of \(path) (\(option)) has no free inodes, so no file can be created",
                "remove some files: df -i \(path)")
        }
        return nil
    }

    private func remedy(_ code: CInt, _ path: String, _ option: String) -> String {
        switch code {
        case EROFS:
            "make the file system writable; if it is, add ReadWritePaths=\(path) to upgradelinkd.service "
                + "(systemctl edit upgradelinkd)"
        case EACCES:
            if let closed = Self.closedDirectory(onTheWayTo: path) {
                "let the user upgradelinkd enter \(closed): chmod o+x \(closed)"
            } else if created.contains(path) {
                "systemd gives it to the agent: systemctl restart upgradelinkd"
            } else {
                "give it to the agent: chown upgradelinkd: \(path) && chmod 700 \(path)"
            }
        case ENOENT:
            "create it: install -d -m 700 -o upgradelinkd -g upgradelinkd \(path)"
        default: "set \(option) to a directory that the user upgradelinkd can write to"
        }
    }
}
