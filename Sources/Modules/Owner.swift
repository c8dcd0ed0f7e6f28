import Glibc
import Host

/// The user and the group that a file belongs to.
struct Owner: Hashable {
    let user: uid_t
    let group: gid_t

    /// The user and the group of this process: root's.
    static var own: Owner { Owner(user: geteuid(), group: getegid()) }

    init(user: uid_t, group: gid_t) { (self.user, self.group) = (user, group) }

    /// - Parameter text: USER or USER:GROUP, names or numbers; nil: those of this process. Without a group it is the user's own
    ///   group, or root's if the user is a number without a name.
    init(_ text: String?) throws {
        guard let text else {
            self = .own
            return
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 2, let name = parts.first, !name.isEmpty, parts.last != "" else {
            throw ModuleError("\"\(text)\" is not USER or USER:GROUP: set install.files.owner, or leave it out")
        }
        let entry = getpwnam(name)
        guard let user = uid_t(name) ?? entry?.pointee.pw_uid else {
            throw ModuleError("this device has no user \"\(name)\": set install.files.owner, or create the user")
        }
        self.user = user
        guard parts.count == 2 else {
            group = entry?.pointee.pw_gid ?? getpwuid(user)?.pointee.pw_gid ?? 0
            return
        }
        guard let group = gid_t(parts[1]) ?? getgrnam(parts[1])?.pointee.gr_gid else {
            throw ModuleError("this device has no group \"\(parts[1])\": set install.files.owner, or create the group")
        }
        self.group = group
    }

    /// Only root can give files away; another user's files stay that user's.
    func give(_ file: OpenFile) throws {
        let status = try file.status
        if Owner(user: status.user, group: status.group) == self || geteuid() != 0 { return }
        try file.setOwner(user: user, group: group)
    }
}
