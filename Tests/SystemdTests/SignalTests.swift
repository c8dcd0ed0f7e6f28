import Glibc
import Host
import Simulator
import TestSupport
import Testing

@testable import Systemd

/// Signals and names on a real dbus-daemon.
@Suite(.enabled(if: getuid() == 0, "a private system bus needs root")) struct SignalTests {
    @Test func aSignalReachesThoseThatAskedForIt() async throws {
        try await Peers.withBus { address in
            let peers = try Peers(address)
            var (got, others): ([[BusValue]], Int) = ([], 0)
            peers.client.onSignal(Peers.name, Peers.interface, "Changed") { got.append($0) }
            peers.client.onSignal(Peers.name, Peers.interface, "Other") { _ in others += 1 }
            peers.client.onSignal(Peers.name, "org.example.Other", "Changed") { _ in others += 1 }
            // The bus has these rules when it replies to a later call.
            let driver = "org.freedesktop.DBus"
            var isKnown = false
            peers.client.call(driver, "/org/freedesktop/DBus", driver, "GetId") { _ in isKnown = true }
            #expect(try peers.process { isKnown })
            // Anybody can send a signal that looks alike.
            let stranger = try Bus(address: address)
            stranger.emit(Peers.path, Peers.interface, "Changed", [.string("forged")])
            var isSent = false
            stranger.call(driver, "/org/freedesktop/DBus", driver, "GetId") { _ in isSent = true }
            #expect(try Peers.process([stranger]) { isSent })
            peers.service.emit(Peers.path, Peers.interface, "Changed", [.string("a"), .uint64(7)])
            peers.service.emit(Peers.path, Peers.interface, "Changed", [])
            #expect(try peers.process { got.count == 2 })
            #expect(got == [[.string("a"), .uint64(7)], []])
            #expect(others == 0)
        }
    }

    @Test func aNameHasOneOwner() async throws {
        try await Peers.withBus { address in
            let name = "org.example.Name"
            let connections = [try Bus(address: address), try Bus(address: address)]
            var (results, losses): ([BusError?], [Int]) = ([], [0, 0])
            func request(_ index: Int, replaces: Bool) throws -> BusError? {
                let before = results.count
                connections[index].request(
                    name: name, replaces: replaces, onLoss: { losses[index] += 1 }, done: { results.append($0) })
                #expect(try Peers.process(connections) { results.count > before })
                return results.last.flatMap { $0 }
            }
            #expect(try request(0, replaces: false) == nil)
            #expect(try request(1, replaces: false) == BusError("", "another process owns the name \(name)"))
            #expect(losses == [0, 0])
            #expect(try request(1, replaces: true) == nil)
            #expect(try Peers.process(connections) { losses[0] > 0 })
            #expect(losses == [1, 0], "only the one that had it has lost it")
            // The other does not wait for the name.
            connections[1].close()
            let driver = "org.freedesktop.DBus"
            var (owner, isAsked): (Bool?, Bool) = (nil, false)
            let hasNoOwner = try Peers.process([connections[0]]) {
                if !isAsked {
                    isAsked = true
                    connections[0].call(driver, "/org/freedesktop/DBus", driver, "NameHasOwner", [.string(name)]) {
                        owner = (try? $0.get())?.first?.flag
                        isAsked = false
                    }
                }
                return owner == false
            }
            #expect(hasNoOwner)
        }
    }

    /// The loss of another name is none of this one.
    @Test func onlyTheLossOfItsNameIsReported() async throws {
        try await Peers.withBus { address in
            let (first, second) = (try Bus(address: address), try Bus(address: address))
            var (losses, requests): ([String], Int) = ([], 0)
            for name in ["org.example.A", "org.example.B"] {
                first.request(
                    name: name, replaces: false, onLoss: { losses.append(name) }, done: { _ in requests += 1 })
            }
            #expect(try Peers.process([first, second]) { requests == 2 })
            second.request(name: "org.example.B", replaces: true, onLoss: {}, done: { _ in requests += 1 })
            #expect(try Peers.process([first, second]) { requests == 3 && !losses.isEmpty })
            #expect(losses == ["org.example.B"])
        }
    }
}
