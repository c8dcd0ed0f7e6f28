import Glibc
import Host

/// A name in a directory in which no other user can change names.
struct Place {
    let directory: Directory
    let name: FileName
    var path: String { directory.path(of: name) }

    /// - Parameters:
    ///   - option: the option that has the path.
    ///   - creates: creates missing directories.
    ///   - trustsLast: false: the directory of the place may belong to another user.
    init(_ path: String, option: String, creates: Bool, trustsLast: Bool = true) throws {
        let names = path.split(separator: "/")
        guard path.hasPrefix("/"), !path.hasSuffix("/"), let last = names.last, let name = FileName(String(last)) else {
            throw ModuleError(
                "\(path.isEmpty ? "the path" : path) is not an absolute path of a file: set install.files.\(option)")
        }
        self.name = name
        directory = try Self.directory(
            "/" + names.dropLast().joined(separator: "/"), option: option, creates: creates, trustsLast: trustsLast)
    }

    /// Opens a directory of an option. Root must own it and every directory on the way, because this module creates, replaces
    /// and removes names in it.
    static func directory(
        _ path: String, option: String, creates: Bool, trustsLast: Bool = true
    ) throws -> Directory {
        do {
            return try Directory.trusted(path, creates: creates, trustsLast: trustsLast)
        } catch let error as UntrustedDirectory {
            let other = "set install.files.\(option) to another directory"
            throw ModuleError("\(error.reason): \(error.remedy.map { "\($0), or " } ?? "")\(other)")
        }
    }
}
