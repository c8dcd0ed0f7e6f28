import Glibc
import Host
import TestSupport
import Testing

@testable import UpdateCore

/// The diagram in docs/states.md shows every transition between the steps of an offer that random events cause, and no
/// other. `make diagram` generates it again.
@Suite struct DiagramTests {
    private static let page = "\(repositoryDirectory)/docs/states.md"
    private static let (first, last) = ("```mermaid\n", "```\n")
    static let writes = getenv("UPGRADELINKD_DIAGRAM") != nil

    struct Edge: Hashable, Comparable {
        var from: String
        var to: String
        static func < (one: Edge, other: Edge) -> Bool { (one.from, one.to) < (other.from, other.to) }
    }

    @Test func theDiagramMatchesTheCode() async throws {
        let diagram = try await OwnThread.compute { render(edges()) }
        let text = String(decoding: try Files.read(Self.page, limit: 1 << 20), as: UTF8.self)
        let start = try #require(text.firstRange(of: Self.first)).upperBound
        let end = try #require(text[start...].firstRange(of: Self.last)).lowerBound
        if Self.writes {
            let page = "\(text[..<start])\(diagram)\(text[end...])"
            try Files.replace(Self.page, with: Array(page.utf8), mode: 0o644)
        } else {
            #expect(String(text[start..<end]) == diagram, "run make diagram to generate it again")
        }
    }

    private func edges() -> [Edge: Set<String>] {
        var edges: [Edge: Set<String>] = [:]
        for seed in UInt64(100)..<104 {
            RandomWorld(seed: seed).run(steps: 150_000) { step in
                let edge = Edge(from: name(step.before.state), to: name(step.after.state))
                guard edge.from != edge.to else { return }
                // Time alone may cause the same transition: then the event is not its cause.
                let byTime = reduce(step.before.state, .tick, step.after.context).state
                edges[edge, default: []].insert(name(byTime) == edge.to ? "time" : step.event.kind)
            }
        }
        return edges
    }

    private func name(_ state: AgentState) -> String {
        guard let step = state.work?.step else { return "[*]" }
        return "\(step)".prefix { $0.isLetter }.description
    }

    private func render(_ edges: [Edge: Set<String>]) -> String {
        "stateDiagram-v2\n"
            + edges.sorted { $0.key < $1.key }.map { edge, events in
                "    \(edge.from) --> \(edge.to): \(events.sorted().joined(separator: ", "))\n"
            }.joined()
    }
}

extension Event {
    fileprivate var kind: String {
        switch self {
        case .started: "start"
        case .tick: "time"
        case .command(let command): "\(command)".prefix { $0.isLetter }.description
        case .fileOffered: "file"
        case .checked: "reply"
        case .downloaded: "download ends"
        case .installed: "installer ends"
        case .reported: "report ends"
        case .configurationChanged: "reload"
        }
    }
}
