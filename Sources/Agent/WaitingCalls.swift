/// The calls that wait for authorization. Their number is bounded in total, for each connection and for each user, so that
/// callers without rights cannot make the agent grow, or keep others from being answered.
struct WaitingCalls {
    /// In each of the two phases.
    static let maximum = 32
    /// While the bus is asked who the caller is, which takes some milliseconds.
    static let maximumPerConnection = 3
    /// While polkit is asked, which may wait for a password.
    static let maximumPerUser = 4

    private var connections = Counts<String>()
    private var users = Counts<UInt64>()

    /// Whether another connection may wait. The receiver takes no calls before that.
    var mayBegin: Bool { connections.total < Self.maximum }

    /// - Returns: whether this connection may wait; if so, ``end(connection:)`` ends it.
    mutating func begin(connection: String) -> Bool { connections.begin(connection, limit: Self.maximumPerConnection) }
    mutating func end(connection: String) { connections.end(connection) }

    /// - Returns: whether this user may wait for polkit; if so, ``end(user:)`` ends it.
    mutating func begin(user: UInt64) -> Bool { users.begin(user, limit: Self.maximumPerUser) }
    mutating func end(user: UInt64) { users.end(user) }

    private struct Counts<Key: Hashable> {
        private var counts: [Key: Int] = [:]
        private(set) var total = 0

        mutating func begin(_ key: Key, limit: Int) -> Bool {
            guard total < WaitingCalls.maximum, counts[key, default: 0] < limit else { return false }
            counts[key, default: 0] += 1
            total += 1
            return true
        }

        mutating func end(_ key: Key) {
            guard let count = counts[key] else { return }
            counts[key] = count > 1 ? count - 1 : nil
            total -= 1
        }
    }
}
