import Glibc
import Host
import UpdateCore

/// The files in the agent's state directory.
struct Store {
    let directory: String
    private var stored: [UInt8] = []

    init(directory: String) { self.directory = directory }

    private var statePath: String { "\(directory)/state.json" }
    /// A worker stores a granted offer here before it reports the offer.
    var inbox: Inbox { Inbox("\(directory)/offer.json") }

    private static let limit = 4 << 20

    /// Reads the state that an earlier run stored, possibly another version of this program. A file that cannot be decoded is
    /// renamed, and the agent starts with an empty state.
    ///
    /// - Throws: if the file cannot be read or renamed.
    /// - Returns: the state, and a line about the parts that could not be read.
    mutating func load() throws(SystemError) -> (state: AgentState, damage: String?) {
        do {
            guard let found = try StoredFile.read(AgentState.self, from: statePath, limit: Self.limit) else {
                return (AgentState(), nil)
            }
            guard !found.unreadable.isEmpty else { return (found.value, nil) }
            let fields = found.unreadable.joined(separator: ", ").sanitized(limit: 300)
            return (found.value, "\(statePath): fields that this version cannot read are left out: \(fields)")
        } catch let error as SystemError where error.code != EFBIG && !error.isNotRegular {
            throw error
        } catch {
            try Files.setAside(statePath)
            return (AgentState(), "\(statePath) was damaged and is set aside as \(statePath).damaged; starting afresh")
        }
    }

    /// The next ``save(_:)`` stores the state in any case.
    mutating func forget() { stored = [] }

    /// Stores the state, unless it is stored already.
    mutating func save(_ state: AgentState) throws {
        let bytes = try StoredFile.encode(state)
        guard bytes != stored else { return }
        try StoredFile.write(bytes, to: statePath, limit: Self.limit)
        stored = bytes
    }
}
