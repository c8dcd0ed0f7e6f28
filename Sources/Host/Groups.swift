import Glibc

/// Membership in the groups of this device.
public enum Groups {
    /// Whether a user is in a group; false if the group does not exist.
    ///
    /// - Parameter groups: the group IDs of the process, as the bus reported them; nil: they are read from the group database.
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
