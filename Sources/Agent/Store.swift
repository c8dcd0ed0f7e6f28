import Glibc
import Host
import UpdateCore

/// The agent's memory on disk.
struct Store {
    let folder: String
    private var stored: [UInt8] = []

    init(folder: String) { self.folder = folder }

    private var statePath: String { "\(folder)/state.json" }
    /// Where a worker leaves a granted offer before it speaks of it.
    var inbox: Inbox { Inbox("\(folder)/offer.json") }

    private static let limit = 4 << 20

    /// What an earlier run stored, whichever version of this program it was. A file that makes no sense is set aside, never a
    /// reason not to start.
    ///
    /// - Returns: the state, and a line about what could not be read.
    mutating func load() throws(SystemError) -> (state: AgentState, damage: String?) {
        do {
            guard let found = try StoredFile.read(AgentState.self, from: statePath, limit: Self.limit) else {
                return (AgentState(), nil)
            }
            guard !found.unreadable.isEmpty else { return (found.value, nil) }
            let fields = found.unreadable.joined(separator: ", ").forPeople(limit: 300)
            return (found.value, "\(statePath): fields that this version cannot read are left out: \(fields)")
        } catch let error as SystemError where error.code != EFBIG {
            throw error
        } catch {
            try Files.rename(statePath, to: statePath + ".damaged")
            return (AgentState(), "\(statePath) was damaged and is set aside as \(statePath).damaged; starting afresh")
        }
    }

    /// Stores the state, unless it is what is stored already.
    mutating func save(_ state: AgentState) throws {
        let bytes = try StoredFile.encode(state)
        guard bytes != stored else { return }
        try StoredFile.write(bytes, to: statePath, limit: Self.limit)
        stored = bytes
    }
}
