import Systemd

extension Checkup {
    /// What the agent says that lasts and needs the operator.
    var agentWarnings: [Finding] {
        do throws(BusError) {
            return try AgentClient().status().warnings.map { warning in
                Finding(isWell: false, line: "\(Terminal.paint("BAD ", .red)) updates: \(warning)")
            }
        } catch {
            // The finding about the agent says so.
            return []
        }
    }
}
