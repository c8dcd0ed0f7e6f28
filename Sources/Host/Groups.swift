import Glibc

/// Membership in the groups of this box.
public enum Groups {
    /// - Parameter groups: what the bus says of the process; where it does not, the group database is asked.
    public static func contains(uid: UInt64, groups: [UInt64]?, name: String) -> Bool {
        guard let group = getgrnam(name) else { return false }
        let wanted = group.pointee.gr_gid
        if let groups { return groups.contains(UInt64(wanted)) }
        guard let uid = uid_t(exactly: uid), let user = getpwuid(uid) else { return false }
        var count: CInt = 256
        var list = [gid_t](repeating: 0, count: Int(count))
        guard getgrouplist(user.pointee.pw_name, user.pointee.pw_gid, &list, &count) >= 0 else { return false }
        return list.prefix(Int(count)).contains(wanted)
    }
}
