import Glibc
import Host

/// A directory `.release.` and six random characters next to the place where a release is published. It is locked as long as its process lives
/// (flock(2)), so that the next process can remove what a killed one left.
struct TemporaryRelease {
    private static let prefix = ".release"

    let path: String
    private let lock: OpenFile

    /// Also removes the directories of dead processes.
    init(in directory: String) throws(SystemError) {
        // No other process looks for directories between the creation and the lock. Without locks, as on some network file systems,
        // nothing old is removed.
        let above = try OpenFile(directory, O_RDONLY | O_DIRECTORY)
        defer { withExtendedLifetime(above) {} }
        if flock(above.descriptor, LOCK_EX) == 0 { Self.removeOld(in: directory) }
        path = try Files.createTemporaryDirectory("\(directory)/\(Self.prefix)")
        lock = try OpenFile(path, O_RDONLY | O_DIRECTORY)
        flock(lock.descriptor, LOCK_EX)
    }

    func remove() { try? Files.removeTree(path) }

    private static func removeOld(in directory: String) {
        for name in (try? Files.list(directory)) ?? [] where name.wholeMatch(of: /\.release\.[A-Za-z0-9]{6}/) != nil {
            guard let old = try? OpenFile("\(directory)/\(name)", O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
                flock(old.descriptor, LOCK_EX | LOCK_NB) == 0
            else { continue }
            try? Files.removeTree("\(directory)/\(name)")
        }
    }
}
