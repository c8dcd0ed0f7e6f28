import Glibc
public import UpdateCore

/// The file in which a granted offer waits until the agent has stored it in its state. A worker that outlived its agent may
/// store an offer at the same time as a later worker: the newer version stays.
public struct Inbox: Sendable {
    public let path: String

    public init(_ path: String) { self.path = path }

    /// The waiting offer; nil if there is none or it cannot be read.
    public func read() -> Offer? {
        try? StoredFile.read(Offer.self, from: path, limit: maximumMessageBytes)?.value
    }

    /// Sets aside a file that cannot be read at all.
    ///
    /// - Returns: a line about it for the log; nil if there is none.
    public func setAsideUnreadable() -> String? {
        guard Files.exists(path), read() == nil, (try? Files.setAside(path)) != nil else {
            return nil
        }
        return "\(path) was damaged and is set aside as \(path).damaged; its offer is lost"
    }

    /// Stores an offer, unless a newer version of the same application waits.
    ///
    /// - Returns: the offer that waits now.
    /// - Throws: if the file cannot be locked or written.
    public func store(_ offer: Offer) throws -> Offer {
        let lock = try lock()
        defer { withExtendedLifetime(lock) {} }
        if let waiting = read(), waiting.urlKey == offer.urlKey, waiting.versionCode > offer.versionCode {
            return waiting
        }
        try StoredFile.write(offer, to: path, limit: maximumMessageBytes)
        return offer
    }

    /// Removes the waiting offer, unless it is newer than this version.
    public func empty(upTo versionCode: Int) {
        let lock = try? lock()
        defer { withExtendedLifetime(lock) {} }
        if let waiting = read(), waiting.versionCode > versionCode { return }
        try? Files.remove(path)
    }

    private func lock() throws(SystemError) -> OpenFile {
        let file = try Files.openLock(path + ".lock")
        while flock(file.descriptor, LOCK_EX) != 0 {
            if errno != EINTR { throw SystemError("lock", path) }
        }
        return file
    }
}
