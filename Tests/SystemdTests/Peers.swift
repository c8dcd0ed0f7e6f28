import Glibc
import Host
import Simulator
import TestSupport
import UpdateCore

@testable import Systemd

/// Two connections to a bus, which one thread uses.
final class Peers {
    static let name = "org.example.Service"
    static let path = "/org/example/Service"
    static let interface = "org.example.Interface"

    let service: Bus
    let client: Bus

    init(_ address: String, serviceAcceptsDescriptors: Bool = true) throws {
        service = try Bus(address: address, acceptsDescriptors: serviceAcceptsDescriptors)
        client = try Bus(address: address)
        var (isNamed, isKnown) = (false, false)
        service.request(name: Self.name, replaces: false, onLoss: {}, done: { isNamed = $0 == nil })
        client.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId") { _ in
            isKnown = true
        }
        guard try process(until: { isNamed && isKnown }) else { throw BusError("", "the name is not there") }
    }

    /// Handles messages until the condition holds; false if that takes long.
    func process(seconds: Double = 20, until condition: () -> Bool) throws -> Bool {
        try Self.process([service, client], seconds: seconds, until: condition)
    }

    static func process(_ connections: [Bus], seconds: Double = 20, until condition: () -> Bool) throws -> Bool {
        let end = Clock.bootTime + seconds
        while !condition() {
            for bus in connections {
                repeat { guard Clock.bootTime < end else { return false } } while try bus.process(atMost: 16)
            }
            connections.last?.wait(seconds: 0.005)
        }
        return true
    }

    /// Calls a method of the service, and returns its reply.
    func call(
        _ member: String, _ values: [BusValue] = [], path: String = path, to destination: String = name,
        timeout: Double = 25
    ) throws -> Result<[BusValue], BusError>? {
        var replies: [Result<[BusValue], BusError>] = []
        client.call(destination, path, Self.interface, member, values, timeout: timeout) { replies.append($0) }
        guard try process(until: { !replies.isEmpty }) else { return nil }
        return replies.first
    }

    /// Runs a function with the address of a bus that permits everything, on a thread of its own.
    static func withBus<Value: Sendable>(
        _ body: @escaping @Sendable (String) throws -> Value
    ) async throws -> Value {
        try await withAddress { address in try await OwnThread.run { Result { try body(address) } }.get() }
    }

    static func withAddress<Value: Sendable>(_ body: @Sendable (String) async throws -> Value) async throws -> Value {
        let scratch = try Scratch()
        let open = try scratch.write(
            "open.conf",
            """
            <busconfig><policy context="default"><allow own="*"/><allow send_destination="*"/></policy></busconfig>
            """)
        return try await PrivateBus.run(directory: scratch.path, policies: [open]) { bus async throws in
            try await body(bus.address)
        }
    }
}
