import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

@testable import Systemd

/// Calls and their replies, between two connections to a real dbus-daemon.
@Suite(.enabled(if: getuid() == 0, "a private system bus needs root")) struct CallTests {
    @Test func aCallReachesItsObject() async throws {
        try await Peers.withBus { address in
            let peers = try Peers(address)
            var calls: [BusCall] = []
            peers.service.serve(Peers.path) { call in
                calls.append(call)
                call.reply([.string("pong")])
            }
            #expect(try peers.call("Ping", [.string("a"), .uint64(.max)]) == .success([.string("pong")]))
            let call = try #require(calls.first)
            #expect((call.interface, call.member, call.signature) == (Peers.interface, "Ping", "st"))
            #expect(call.sender.hasPrefix(":1.") && call.allowsInteraction)
            #expect(call.arguments() == [.string("a"), .uint64(.max)])
            #expect(try peers.call("Ping") == .success([.string("pong")]))
            #expect(calls.count == 2 && calls.last?.arguments() == [])
        }
    }

    @Test func anErrorHasItsNameAndItsText() async throws {
        try await Peers.withBus { address in
            let peers = try Peers(address)
            let error = BusError("org.example.Error.Tea", "no tea: the pot is empty")
            peers.service.serve(Peers.path) { $0.fail(error) }
            #expect(try peers.call("Pour") == .failure(error))
            let absent = try #require(try peers.call("Pour", path: "/elsewhere"))
            #expect(throws: BusError("org.freedesktop.DBus.Error.UnknownObject", "Unknown object '/elsewhere'.")) {
                try absent.get()
            }
            guard case .failure(let unknown)? = try peers.call("Pour", to: "org.example.Absent") else {
                Issue.record("there is no such service")
                return
            }
            #expect(unknown.name == "org.freedesktop.DBus.Error.ServiceUnknown")
        }
    }

    /// A service may reply later, and to each call by itself.
    @Test func aReplyBelongsToItsCall() async throws {
        try await Peers.withBus { address in
            let peers = try Peers(address)
            var calls: [BusCall] = []
            peers.service.serve(Peers.path) { calls.append($0) }
            var replies: [String] = []
            for number in ["1", "2", "3"] {
                peers.client.call(Peers.name, Peers.path, Peers.interface, "Get", [.string(number)]) { result in
                    replies.append("\(number): \((try? result.get().first?.text) ?? "error")")
                }
            }
            #expect(try peers.process { calls.count == 3 })
            for call in calls.reversed() { call.reply(call.arguments() ?? []) }
            #expect(try peers.process { replies.count == 3 })
            #expect(replies == ["3: 3", "2: 2", "1: 1"])
        }
    }

    @Test func aCallWithoutAReplyEndsAfterItsTimeLimit() async throws {
        try await Peers.withBus { address in
            let peers = try Peers(address)
            var calls: [BusCall] = []
            peers.service.serve(Peers.path) { calls.append($0) }
            #expect(peers.client.timeout == nil)
            var replies: [Result<[BusValue], BusError>] = []
            let begin = Clock.bootTime
            peers.client.call(Peers.name, Peers.path, Peers.interface, "Wait", timeout: 0.4) { replies.append($0) }
            let timeout = try #require(peers.client.timeout)
            #expect((0...0.4).contains(timeout))
            #expect(try peers.process { !replies.isEmpty })
            #expect(Clock.bootTime - begin >= 0.4)
            #expect(
                replies == [.failure(BusError("org.freedesktop.DBus.Error.NoReply", "Method call timed out"))])
            // A reply that is late has no effect.
            calls.first?.reply()
            #expect(try peers.call("Wait", timeout: 0.1) != nil)
            #expect(replies.count == 1)
        }
    }

    @Test func theEndOfTheConnectionEndsEachCallOnce() async throws {
        try await Peers.withBus { address in
            let peers = try Peers(address)
            peers.service.serve(Peers.path) { if $0.member == "Reply" { $0.reply([.boolean(true)]) } }
            var replies: [Result<[BusValue], BusError>] = []
            var early = 0
            peers.client.call(Peers.name, Peers.path, Peers.interface, "Reply") { _ in early += 1 }
            #expect(try peers.process { early == 1 })
            for _ in 1...2 {
                peers.client.call(Peers.name, Peers.path, Peers.interface, "Wait") { replies.append($0) }
            }
            peers.client.close()
            #expect(replies == [.failure(.disconnected), .failure(.disconnected)])
            #expect(early == 1, "it has its reply already")
            #expect(throws: BusError.self) { try peers.client.process(atMost: 1) }
            #expect(!peers.client.hasOutput)
            #expect(try peers.client.isRefused("Wait"))
            #expect(replies.count == 2)
        }
    }

    /// A client must not keep the service busy.
    @Test func aLimitedNumberOfMessagesIsHandledAtOnce() async throws {
        try await Peers.withBus { address in
            let peers = try Peers(address)
            var calls = 0
            peers.service.serve(Peers.path) { call in
                calls += 1
                call.reply()
            }
            var replies = 0
            for _ in 1...20 {
                peers.client.call(Peers.name, Peers.path, Peers.interface, "Count") { _ in replies += 1 }
            }
            var steps: [Int] = []
            #expect(
                try Peers.process([peers.client]) {
                    let before = calls
                    let mayContinue = (try? peers.service.process(atMost: 5)) ?? false
                    steps.append(calls - before)
                    return calls == 20 && !mayContinue
                })
            #expect(steps.allSatisfy { $0 <= 5 } && steps.contains { $0 > 0 }, "\(steps)")
            #expect(try peers.process { replies == 20 })
        }
    }

    @Test func aProgramWithoutALoopWaitsForTheReply() async throws {
        try await Peers.withBus { address in
            let bus = try Bus(address: address)
            let driver = "org.freedesktop.DBus"
            let reply = try bus.callAndWait(driver, "/org/freedesktop/DBus", driver, "NameHasOwner", [.string(driver)])
            #expect(reply == [.boolean(true)])
            #expect(
                throws: BusError(
                    "org.freedesktop.DBus.Error.NameHasNoOwner",
                    "Could not get owner of name 'org.example.Absent': no such name")
            ) {
                try bus.callAndWait(
                    driver, "/org/freedesktop/DBus", driver, "GetNameOwner", [.string("org.example.Absent")])
            }
            // A connection that reads nothing.
            let deaf = try Bus(address: address)
            let name = try #require(
                try deaf.callAndWait(driver, "/org/freedesktop/DBus", driver, "ListNames").first?.items?.compactMap(
                    \.text
                )
                .filter { $0.hasPrefix(":") }.max {
                    $0.utf8.count == $1.utf8.count ? $0 < $1 : $0.utf8.count < $1.utf8.count
                })
            let begin = Clock.bootTime
            #expect(throws: BusError.self) {
                try bus.callAndWait(name, Peers.path, Peers.interface, "Wait", timeout: 0.3)
            }
            #expect((0.3..<20).contains(Clock.bootTime - begin))
        }
    }

    @Test func aCallerMayForbidQuestions() async throws {
        try await Peers.withBus { address in
            let peers = try Peers(address)
            var answers: [String: Bool] = [:]
            peers.service.serve(Peers.path) { call in
                answers[call.member] = call.allowsInteraction
                call.reply()
            }
            for (member, answer) in [("Quiet", "no"), ("Loud", "yes")] {
                let flag = "--allow-interactive-authorization=\(answer)"
                let arguments = ["--address=\(address)", flag, "call", Peers.name, Peers.path, Peers.interface, member]
                Task { try await execute("busctl", arguments) }
                #expect(try peers.process { answers[member] != nil })
            }
            #expect(answers == ["Quiet": false, "Loud": true])
        }
    }

    /// The daemon stops, as one that hangs.
    @Test func aBusThatReadsNothingIsNoticed() async throws {
        try await Peers.withBus { address in
            let bus = try Peers(address).service
            // socket(7): pid_t, uid_t and gid_t.
            var credentials: [CInt] = [0, 0, 0]
            var size = socklen_t(MemoryLayout<CInt>.size * 3)
            #expect(getsockopt(bus.descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0)
            let daemon = try #require(credentials.first { $0 > 1 })
            #expect(bus.canSend && !bus.hasOutput && bus.unreadOutput == 0)
            #expect(kill(daemon, SIGSTOP) == 0)
            defer { kill(daemon, SIGCONT) }
            let text = String(repeating: "x", count: 60_000)
            for _ in 1...1000 where bus.canSend { bus.emit(Peers.path, Peers.interface, "Changed", [.string(text)]) }
            #expect(!bus.canSend && bus.unreadOutput > 60_000)
            // What the socket does not take is kept.
            for _ in 1...1000 where !bus.hasOutput { bus.emit(Peers.path, Peers.interface, "Changed", [.string(text)]) }
            #expect(bus.hasOutput)
            kill(daemon, SIGCONT)
            #expect(try Peers.process([bus]) { bus.canSend && !bus.hasOutput && bus.unreadOutput == 0 })
        }
    }

    @Test func aBusThatIsAbsentIsAnError() {
        #expect(throws: BusError("org.freedesktop.DBus.Error.Failed", "No such file or directory")) {
            try Bus(address: "unix:path=/nonexistent/bus")
        }
    }
}

extension Bus {
    /// Whether a call fails at once.
    fileprivate func isRefused(_ member: String) throws -> Bool {
        var replies: [Result<[BusValue], BusError>] = []
        call(Peers.name, Peers.path, Peers.interface, member) { replies.append($0) }
        guard case .failure? = replies.first else { return false }
        return replies.count == 1
    }
}
