/// The calls that wait for authorization. Their number is bounded in total, for each connection and for each user, so that
/// callers without rights cannot make the agent grow, or keep others from being answered.
struct WaitingCalls {
    static let maximum = 32
    /// While the bus is asked who the caller is, which takes some milliseconds.
    static let maximumPerConnection = 3
    /// While polkit is asked, which may wait for a password.
    static let maximumPerUser = 4

    private var connections: [String: Int] = [:]
    private var users: [UInt64: Int] = [:]
    private var count = 0

    /// - Returns: whether this connection may wait; if so, ``end(connection:)`` ends it.
    mutating func begin(connection: String) -> Bool {
        guard count < Self.maximum, connections[connection, default: 0] < Self.maximumPerConnection else {
            return false
        }
        connections[connection, default: 0] += 1
        count += 1
        return true
    }

    mutating func end(connection: String) {
        count -= 1
        decrease(&connections, connection)
    }

    /// - Returns: whether this user may wait for polkit; if so, ``end(user:)`` ends it.
    mutating func begin(user: UInt64) -> Bool {
        guard count < Self.maximum, users[user, default: 0] < Self.maximumPerUser else { return false }
        users[user, default: 0] += 1
        count += 1
        return true
    }

    mutating func end(user: UInt64) {
        count -= 1
        decrease(&users, user)
    }

    private func decrease<Key>(_ counts: inout [Key: Int], _ key: Key) {
        guard let count = counts[key] else { return }
        counts[key] = count > 1 ? count - 1 : nil
    }
}
