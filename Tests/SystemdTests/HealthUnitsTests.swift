import Glibc
import Host
import Simulator
import Synchronization
import TestSupport
import Testing

@testable import Systemd

/// What is said about units, with a service manager of the test; SystemTests has the real one.
@Suite(.enabled(if: getuid() == 0, "a private system bus needs root")) struct HealthUnitsTests {
    private final class Stop: Sendable {
        let isWanted = Mutex(false)
    }

    /// The properties of each unit.
    private static let units: [String: [String: BusValue]] = [
        "right.service": ["LoadState": .string("loaded"), "Type": .string("simple")],
        "absent.service": ["LoadState": .string("not-found")],
        "masked.service": ["LoadState": .string("masked")],
        "wrong.service": ["LoadState": .string("bad-setting")],
        "once.service": [
            "LoadState": .string("loaded"), "Type": .string("oneshot"), "RemainAfterExit": .boolean(false),
        ],
        "stays.service": [
            "LoadState": .string("loaded"), "Type": .string("oneshot"), "RemainAfterExit": .boolean(true),
        ],
        "a.target": ["LoadState": .string("loaded")],
    ]

    private static func serve(_ address: String, _ stop: Stop) throws {
        let manager = "org.freedesktop.systemd1"
        let bus = try Bus(address: address)
        bus.serve("/org/freedesktop/systemd1") { call in
            guard call.member == "LoadUnit", call.interface == "\(manager).Manager",
                let unit = call.arguments()?.first?.text, units[unit] != nil
            else { return call.fail(BusError("org.example.Error.Unexpected", call.member)) }
            call.reply([.string("/unit/\(unit.replacing(".", with: "_"))")])
        }
        for (unit, properties) in units {
            bus.serve("/unit/\(unit.replacing(".", with: "_"))") { call in
                let arguments = call.arguments()?.compactMap(\.text) ?? []
                let place = ["LoadState": "Unit", "Type": "Service", "RemainAfterExit": "Service"][arguments.last ?? ""]
                guard arguments.first == "\(manager).\(place ?? "")", let value = properties[arguments.last ?? ""]
                else {
                    return call.fail(BusError("org.freedesktop.DBus.Error.UnknownProperty", ""))
                }
                call.reply([.variant(value)])
            }
        }
        bus.request(name: manager, replaces: false, onLoss: {}, done: { _ in })
        _ = try Peers.process([bus], seconds: 60) { stop.isWanted.withLock { $0 } }
    }

    @Test func unitsThatNoHealthCheckCanPassAreNamed() async throws {
        try await Peers.withAddress { address in
            let stop = Stop()
            async let served: Result<Void, any Error> = OwnThread.run { Result { try Self.serve(address, stop) } }
            let problems = await OwnThread.run { () -> [String] in
                guard let bus = try? Bus(address: address) else { return ["no bus"] }
                // Until the service manager has its name.
                _ = try? Peers.process([bus]) {
                    (try? bus.callAndWait(
                        "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                        "LoadUnit", [.string("right.service")])) != nil
                }
                let units = ["right.service", "absent.service", "masked.service", "wrong.service", "a.target"]
                return HealthUnits.problems(of: units, restarted: ["once.service", "stays.service"], bus)
            }
            stop.isWanted.withLock { $0 = true }
            try await served.get()
            let consequence = ", so no update would pass the health check"
            #expect(
                problems == [
                    "install.healthUnits: absent.service does not exist\(consequence)",
                    "install.healthUnits: masked.service is masked\(consequence)",
                    "install.healthUnits: wrong.service cannot be loaded (bad-setting): systemctl status wrong.service\(consequence)",
                    "install.restartUnits: once.service is a oneshot service without RemainAfterExit=, which is never active for long\(consequence)",
                ])
        }
    }

    @Test func withoutAServiceManagerNothingIsSaid() async throws {
        try await Peers.withBus { address in
            let bus = try Bus(address: address)
            #expect(HealthUnits.problems(of: ["absent.service"], restarted: [], bus) == [])
        }
    }
}
