import FoundationEssentials
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

    /// What an earlier run knew. A file that makes no sense is set aside, never a reason not to start.
    ///
    /// - Returns: the state, and a line about a file that was set aside.
    mutating func load() throws(SystemError) -> (state: AgentState, damage: String?) {
        guard let bytes = try read(statePath) else { return (AgentState(), nil) }
        do {
            let state = try JSONDecoder().decode(AgentState.self, from: Data(bytes))
            stored = bytes
            return (state, nil)
        } catch {
            try Files.rename(statePath, to: statePath + ".damaged")
            return (AgentState(), "\(statePath) was damaged and is set aside as \(statePath).damaged; starting afresh")
        }
    }

    /// Stores the state, unless it is what is stored already.
    mutating func save(_ state: AgentState) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let bytes = Array(try encoder.encode(state))
        guard bytes != stored else { return }
        try Files.replace(statePath, with: bytes)
        stored = bytes
    }

    private func read(_ path: String) throws(SystemError) -> [UInt8]? {
        do throws(SystemError) {
            return try Files.read(path, limit: 4 << 20)
        } catch {
            if error.isNotFound { return nil }
            throw error
        }
    }
}
