import CHost

/// The output of a socket that another library owns.
public enum SocketOutput {
    /// The bytes that the other end has not read yet (unix(7), `SIOCOUTQ`); nil if that is unknown.
    public static func unreadBytes(of descriptor: Int32) -> Int? {
        let count = upgradelink_unread_output(descriptor)
        return count < 0 ? nil : Int(count)
    }
}
