import Configuration
import Glibc
import Host
import UpdateCore

/// The state directory, which another program may remove or empty while the agent runs.
struct StateDirectory {
    let path: String
    private let mode: UInt32
    private var lock: DirectoryLock
    /// The content of the file of the identity, if there is one.
    private var identity: [UInt8]?
    /// A directory of the service manager that lasts until the service is stopped.
    private let rescueDirectory: String?

    private static let stateName = "state.json"
    private static let identityName = "identity.json"
    private static let limit = 4 << 20

    /// Creates and locks the directory, and moves in what an earlier process could not store there.
    ///
    /// - Parameter environment: with `RUNTIME_DIRECTORY` (systemd.exec(5)), if there is one.
    init(_ path: String, rescue environment: [String: String]) throws(SystemError) {
        self.path = path
        rescueDirectory = environment["RUNTIME_DIRECTORY"]?.directories.first
        try Files.createDirectory(path)
        lock = try DirectoryLock(path)
        mode = UInt32(try OpenFile(path, O_RDONLY | O_DIRECTORY).status.permissions)
        try moveIn()
    }

    /// Whether the directory is still the one that this process has locked.
    var isInPlace: Bool { lock.isInPlace }

    /// Remembers the identity, which is in no other file.
    mutating func noteIdentity() { identity = try? Files.read("\(path)/\(Self.identityName)", limit: Self.limit) }

    /// Creates and locks the directory again if it was removed or emptied.
    ///
    /// - Returns: whether that was necessary.
    mutating func restore() throws(SystemError) -> Bool {
        if lock.isInPlace { return false }
        try Files.createDirectory(path)
        chmod(path, mode_t(mode))
        lock.release()
        lock = try DirectoryLock(path)
        if let identity { try Files.replace("\(path)/\(Self.identityName)", with: identity) }
        return true
    }

    // MARK: rescue

    /// Keeps the state for the next process, which finds an empty directory.
    ///
    /// - Returns: where it is; nil if it could not be stored.
    func rescue(_ state: AgentState) -> String? {
        guard let rescueDirectory, let bytes = try? StoredFile.encode(state), bytes.count <= Self.limit else {
            return nil
        }
        do throws(SystemError) {
            if let identity { try Files.replace("\(rescueDirectory)/\(Self.identityName)", with: identity) }
            try Files.replace("\(rescueDirectory)/\(Self.stateName)", with: bytes)
            return rescueDirectory
        } catch {
            return nil
        }
    }

    private func moveIn() throws(SystemError) {
        guard let rescueDirectory else { return }
        for name in [Self.identityName, Self.stateName] {
            let (source, target) = ("\(rescueDirectory)/\(name)", "\(path)/\(name)")
            guard let bytes = try? Files.read(source, limit: Self.limit) else { continue }
            if !Files.exists(target) { try Files.replace(target, with: bytes) }
            try Files.remove(source)
        }
    }
}

extension Agent.Installation {
    /// Whether the service manager creates this directory before it starts the agent.
    ///
    /// - Parameter variable: `STATE_DIRECTORY` or `CACHE_DIRECTORY` (systemd.exec(5)).
    func creates(_ directory: String, as variable: String) -> Bool {
        environment[variable]?.directories.contains(directory) == true
    }
}

extension String {
    /// The directories that systemd separates by colons.
    fileprivate var directories: [String] { split(separator: ":").map(String.init) }
}

extension Agent {
    /// Creates the directory of downloads if it was removed.
    ///
    /// - Returns: why a download cannot begin, because only the service manager can create the directory. The agent ends soon.
    func lostDownloadDirectory() -> String? {
        let directory = settings.download.directory
        if !Files.isWritable(directory) { try? Files.createDirectory(directory) }
        if Files.isWritable(directory) {
            downloadDirectory = directory
            return nil
        }
        // If it was not there when the agent started, another start does not help: the worker reports the error.
        guard downloadDirectory == directory, installation.creates(directory, as: "CACHE_DIRECTORY") else { return nil }
        let reason = "\(directory) was removed: the agent ends, so that the service manager creates it"
        // First a caller gets its reply.
        MainQueue.after(0.5) { [self] in end(reason) }
        return reason
    }
}
