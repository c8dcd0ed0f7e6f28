import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

@testable import Agent

/// Something else is in place of the agent's state: it is set aside, and the agent starts afresh, without waiting.
@Suite(.timeLimit(.minutes(1))) struct PlantedStateTests {
    @MainActor @Test(arguments: Planted.allCases) func theStateIsSetAside(planted: Planted) throws {
        let scratch = try Scratch()
        let path = "\(scratch.path)/state.json"
        try planted.plant(at: path)
        try planted.plant(at: path + ".damaged")
        var store = Store(directory: scratch.path)
        let (state, damage) = try store.load()
        #expect(state == AgentState())
        // A dangling link is no file: the new state replaces it.
        #expect((damage == nil) == (planted == .danglingLink), "\(String(describing: damage))")
        try store.save(state)
        #expect(try store.load().damage == nil)
    }
}
