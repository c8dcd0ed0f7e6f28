import Glibc
import Host
import Simulator
import TestSupport
import Testing

@testable import Systemd

/// What becomes of values on their way over a real dbus-daemon.
@Suite(.enabled(if: getuid() == 0, "a private system bus needs root")) struct ValueTests {
    private static let values: [BusValue] = [
        .string(""), .string("é\n日本"), .boolean(true), .boolean(false), .uint32(.max), .uint64(.max),
        .array(of: "s", []), .array(of: "s", [.string("a"), .string("b")]),
        .structure([.uint64(1), .structure([.string("x"), .boolean(true)])]),
        .array(of: "(ts)", [.structure([.uint64(1), .string("v1")]), .structure([.uint64(2), .string("v2")])]),
        .variant(.string("inner")), .variant(.variant(.uint32(5))),
        .dictionary([]), .dictionary([("a", .uint64(1)), ("b", .array(of: "s", [.string("c")]))]),
        .array(of: "{st}", [.entry(.string("k"), .uint64(3))]),
    ]

    @Test func eachValueArrivesAsItWasSent() async throws {
        try await Peers.withBus { address in
            let peers = try Peers(address)
            peers.service.serve(Peers.path) { $0.reply(Self.values) }
            var signalled: [[BusValue]] = []
            peers.client.onSignal(Peers.name, Peers.interface, "All") { signalled.append($0) }
            #expect(try peers.call("All") == .success(Self.values))
            peers.service.emit(Peers.path, Peers.interface, "All", Self.values)
            #expect(try peers.process { !signalled.isEmpty })
            #expect(signalled == [Self.values])
        }
    }

    /// What cannot be sent is not sent in part.
    @Test func aMessageWithAnImpossibleValueIsNotSent() async throws {
        try await Peers.withBus { address in
            let peers = try Peers(address)
            var members: [String] = []
            peers.service.serve(Peers.path) { call in
                members.append(call.member)
                call.reply([.string("a"), .other("x")])
                call.reply([.string("whole")])
            }
            let invalid: [BusValue] = [.string("a"), .array(of: "s", [.uint64(1)]), .string("b")]
            guard case .failure? = try peers.call("Impossible", invalid) else {
                Issue.record("a number in an array of texts")
                return
            }
            #expect(members.isEmpty)
            #expect(try peers.call("Whole") == .success([.string("whole")]))
        }
    }

    @Test func argumentsAreTextsAndNumbersOfABoundedLength() async throws {
        try await Peers.withBus { address in
            let peers = try Peers(address)
            var arguments: [[BusValue]?] = []
            peers.service.serve(Peers.path) { call in
                arguments.append(call.arguments())
                call.reply()
            }
            let longest = String(repeating: "x", count: BusCall.maximumTextBytes)
            for text in [longest, longest + "x"] { _ = try peers.call("Text", [.uint64(1), .string(text)]) }
            _ = try peers.call("Flags", [.boolean(true), .uint32(4), .string("last")])
            #expect(BusCall.maximumTextBytes == 8192)
            #expect(arguments == [[.uint64(1), .string(longest)], nil, [.other("b"), .other("u"), .string("last")]])
        }
    }

    /// A reply with many values costs a bounded amount of memory, and what comes after its arrays is read.
    @Test func aLongArrayIsCut() async throws {
        try await Peers.withBus { address in
            let peers = try Peers(address)
            let count = BusReader.maximumValues + 1000
            let long = BusValue.array(of: "u", (0..<count).map { .uint32(UInt32($0)) })
            peers.service.serve(Peers.path) { $0.reply([long, .string("after"), long]) }
            let values = try #require(try peers.call("Long")).get()
            #expect(values.count == 3 && values.dropFirst().first == .string("after"))
            // The outer array is one of the values.
            #expect(values.first?.items?.count == BusReader.maximumValues - 1)
            #expect(values.first?.items?.last == .uint32(UInt32(BusReader.maximumValues - 2)))
            #expect(values.last?.items == [])
        }
    }

    @Test func descriptorsAreCopied() async throws {
        try await Peers.withBus { address in
            let peers = try Peers(address)
            var calls: [BusCall] = []
            peers.service.serve(Peers.path) { call in
                calls.append(call)
                call.reply()
            }
            let ends = try Pipe.make()
            _ = try peers.call("Take", [.descriptor(ends.writing), .descriptor(ends.writing)])
            close(ends.writing)
            do {
                var files = try #require(calls.first).files(named: ["one", "two"])
                #expect(files.map(\.path) == ["one", "two"])
                #expect(files.allSatisfy { fcntl($0.descriptor, F_GETFD) == FD_CLOEXEC })
                #expect(calls.first?.files(named: ["only"]).map(\.path) == ["only"], "they can be read again")
                calls = []
                #expect(isOpen(ends.reading), "the copies live longer than the message")
                files = []
            }
            #expect(try peers.process { !isOpen(ends.reading) })
            close(ends.reading)
        }
    }

    /// Whether a pipe has a writing end.
    private func isOpen(_ reading: CInt) -> Bool {
        var watched = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
        return poll(&watched, 1, 0) == 0
    }

    @Test func aReplyHandsADescriptorOver() async throws {
        try await Peers.withBus { address in
            let peers = try Peers(address)
            let ends = try Pipe.make()
            peers.service.serve(Peers.path) {
                $0.reply([.descriptor(ends.writing), .array(of: "h", [.descriptor(ends.writing)])])
            }
            let values = try #require(try peers.call("Give")).get()
            guard case .descriptor(let copy)? = values.first, values.count == 2 else {
                Issue.record("\(values)")
                return
            }
            #expect(values.last == .other("ah"), "within an array it is not taken")
            close(ends.writing)
            #expect(isOpen(ends.reading))
            #expect(fcntl(copy, F_GETFD) == FD_CLOEXEC)
            close(copy)
            #expect(try peers.process { !isOpen(ends.reading) })
            close(ends.reading)
        }
    }

    @Test func aServiceWithoutDescriptorsGetsNone() async throws {
        try await Peers.withBus { address in
            let peers = try Peers(address, serviceAcceptsDescriptors: false)
            var count = 0
            peers.service.serve(Peers.path) { call in
                count += 1
                call.reply()
            }
            let ends = try Pipe.make()
            defer { [ends.reading, ends.writing].forEach { close($0) } }
            guard case .failure(let error)? = try peers.call("Take", [.descriptor(ends.writing)]) else {
                Issue.record("it does not accept descriptors")
                return
            }
            #expect(error.name.hasPrefix("org.freedesktop.DBus.Error."), "\(error)")
            #expect(count == 0)
            #expect(try peers.call("Plain") == .success([]))
        }
    }

    @Test func fieldsAreThoseOfADictionary() {
        let value = BusValue.dictionary([("a", .uint64(1)), ("b", .string("x"))])
        #expect(value.fields == ["a": .uint64(1), "b": .string("x")])
        #expect(BusValue.array(of: "{st}", [.entry(.string("k"), .uint64(3))]).fields == ["k": .uint64(3)])
        #expect(BusValue.string("x").fields == [:] && BusValue.string("x").items == nil)
        #expect(BusValue.uint32(7).number == 7 && BusValue.uint64(8).number == 8 && BusValue.string("9").number == nil)
        #expect(BusValue.boolean(true).flag == true && BusValue.uint64(1).flag == nil)
        #expect(BusValue.structure([.uint64(1)]).items == [.uint64(1)])
        #expect(
            value.signature == "a{sv}"
                && BusValue.structure([.uint32(1), .variant(.boolean(true))]).signature == "(uv)")
    }
}
