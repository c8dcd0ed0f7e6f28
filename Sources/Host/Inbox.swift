import Glibc
public import UpdateCore

/// Where a granted offer waits until the agent has taken it up. A worker that outlived its agent may store one here beside
/// that of a later worker: the newer version stays.
public struct Inbox: Sendable {
    public let path: String

    public init(_ path: String) { self.path = path }

    /// The offer that waits. One that makes no sense is none.
    public func read() -> Offer? {
        try? StoredFile.read(Offer.self, from: path, limit: maximumMessageBytes)?.value
    }

    /// - Returns: the offer that waits now.
    public func store(_ offer: Offer) throws -> Offer {
        let lock = try lock()
        defer { withExtendedLifetime(lock) {} }
        if let waiting = read(), waiting.urlKey == offer.urlKey, waiting.versionCode > offer.versionCode {
            return waiting
        }
        try StoredFile.write(offer, to: path, limit: maximumMessageBytes)
        return offer
    }

    /// Removes what waits, unless it is newer than this version.
    public func empty(upTo versionCode: Int) {
        let lock = try? lock()
        defer { withExtendedLifetime(lock) {} }
        if let waiting = read(), waiting.versionCode > versionCode { return }
        try? Files.remove(path)
    }

    private func lock() throws(SystemError) -> OpenFile {
        let file = try OpenFile(path + ".lock", O_RDWR | O_CREAT)
        while flock(file.descriptor, LOCK_EX) != 0 {
            if errno != EINTR { throw SystemError("lock", path) }
        }
        return file
    }
}
