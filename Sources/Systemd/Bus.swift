import CSystemd
import Glibc
import Host

/// A connection to the system bus (sd-bus(3)). Only the thread, or the queue, that created it may use it.
public final class Bus {
    private let bus: OpaquePointer
    private var slots: [OpaquePointer?] = []
    private var handlers: [Handler] = []
    /// The handlers of calls whose replies have not arrived.
    private var pending: [Int: Handler] = [:]
    private var nextCall = 0

    private final class Handler {
        let body: (OpaquePointer?) -> Void
        init(_ body: @escaping (OpaquePointer?) -> Void) { self.body = body }
        var pointer: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }
    }

    /// Connects to a bus.
    ///
    /// - Parameters:
    ///   - address: (D-Bus specification, "Server Addresses"); nil for the system bus: the address in
    ///     `DBUS_SYSTEM_BUS_ADDRESS`, or else the well-known socket.
    ///   - acceptsDescriptors: false if the bus must not deliver messages that contain descriptors.
    public init(address: String? = nil, acceptsDescriptors: Bool = true) throws(BusError) {
        var bus: OpaquePointer?
        sd_bus_new(&bus)
        guard let bus else { throw BusError(errno: ENOMEM) }
        self.bus = bus
        let variable = getenv("DBUS_SYSTEM_BUS_ADDRESS").map { String(cString: $0) } ?? ""
        var result = sd_bus_set_address(
            bus, address ?? (variable.isEmpty ? "unix:path=/run/dbus/system_bus_socket" : variable))
        if result >= 0 { result = sd_bus_set_bus_client(bus, 1) }
        if result >= 0 { result = sd_bus_negotiate_fds(bus, acceptsDescriptors ? 1 : 0) }
        if result >= 0 { result = sd_bus_start(bus) }
        if result < 0 { throw BusError(errno: result) }
    }

    /// What has not been sent is lost: waiting for a bus that reads nothing would block.
    deinit {
        slots.forEach { sd_bus_slot_unref($0) }
        sd_bus_close_unref(bus)
    }

    /// Ends the connection. Calls without a reply fail.
    public func close() {
        sd_bus_close(bus)
        let handlers = pending.values
        pending = [:]
        handlers.forEach { $0.body(nil) }
    }

    // MARK: the loop

    /// Becomes readable when a message arrives; the bus closes it.
    public var descriptor: CInt { sd_bus_get_fd(bus) }

    /// Whether messages wait to be sent.
    public var hasOutput: Bool {
        let events = sd_bus_get_events(bus)
        // Negative without a connection; ``process(atMost:)`` then throws.
        return events > 0 && events & POLLOUT != 0
    }

    /// Whether the bus's socket accepts more output now.
    public var canSend: Bool {
        var watched = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return poll(&watched, 1, 0) > 0
    }

    /// The bytes that the bus has not read from its socket yet (unix(7), `SIOCOUTQ`), with the
    /// kernel's overhead.
    public var unreadOutput: Int { SocketOutput.unreadBytes(of: descriptor) ?? 0 }

    /// The time in seconds after which ``process(atMost:)`` must be called even if no message arrives; nil if there is none.
    public var timeout: Double? {
        var moment: UInt64 = 0
        guard sd_bus_get_timeout(bus, &moment) > 0, moment < .max else { return nil }
        return max(0, (Double(moment) - Double(Clock.monotonicMicroseconds)) / 1e6)
    }

    /// Handles received messages, but at most `limit` of them, so that a client cannot keep this process busy.
    ///
    /// - Returns: whether there may be more.
    public func process(atMost limit: Int) throws(BusError) -> Bool {
        for _ in 0..<limit {
            let result = sd_bus_process(bus, nil)
            if result < 0 { throw BusError(errno: result) }
            if result == 0 { return false }
        }
        return true
    }

    // MARK: serving

    /// Calls the body for every method call to the object at this path. The body may reply later.
    public func serve(_ path: String, _ body: @escaping (BusCall) -> Void) {
        let handler = Handler { body(BusCall($0)) }
        handlers.append(handler)
        var slot: OpaquePointer?
        sd_bus_add_object(
            bus, &slot, path,
            { message, context, _ in
                var type: UInt8 = 0
                sd_bus_message_get_type(message, &type)
                guard type == UInt8(SD_BUS_MESSAGE_METHOD_CALL), let context else { return 0 }
                Unmanaged<Handler>.fromOpaque(context).takeUnretainedValue().body(message)
                return 1
            }, handler.pointer)
        slots.append(slot)
    }

    /// Requests a well-known name. The policy of the bus says who may own it.
    ///
    /// - Parameters:
    ///   - replaces: whether to take the name from an earlier connection. A bus that reads nothing from a connection does not
    ///     notice its end.
    ///   - onLoss: called if another connection takes the name.
    ///   - done: called with an error, or with nil if the name is owned now.
    public func request(
        name: String, replaces: Bool, onLoss: @escaping () -> Void, done: @escaping (BusError?) -> Void
    ) {
        onSignal("org.freedesktop.DBus", "org.freedesktop.DBus", "NameLost") { values in
            if values.first?.text == name { onLoss() }
        }
        // D-Bus specification, "RequestName": ALLOW_REPLACEMENT, REPLACE_EXISTING, DO_NOT_QUEUE.
        let flags: UInt32 = 1 | (replaces ? 2 : 0) | 4
        call(
            "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
            [.string(name), .uint32(flags)]
        ) { result in
            switch result {
            case .success(let values):
                // The reply 1 is PRIMARY_OWNER.
                done(values.first?.number == 1 ? nil : BusError("", "another process owns the name \(name)"))
            case .failure(let error): done(error)
            }
        }
    }

    /// Emits a signal. Without a connection it is lost.
    public func emit(_ path: String, _ interface: String, _ member: String, _ values: [BusValue]) {
        var message: OpaquePointer?
        guard sd_bus_message_new_signal(bus, &message, path, interface, member) >= 0 else { return }
        defer { sd_bus_message_unref(message) }
        for value in values where BusCoding.append(value, to: message) < 0 { return }
        sd_bus_send(bus, message, nil)
    }

    // MARK: calling

    private func makeCall(
        _ destination: String, _ path: String, _ interface: String, _ member: String, _ values: [BusValue]
    ) throws(BusError) -> OpaquePointer? {
        var message: OpaquePointer?
        let result = sd_bus_message_new_method_call(bus, &message, destination, path, interface, member)
        guard result >= 0 else { throw BusError(errno: result) }
        sd_bus_message_set_allow_interactive_authorization(message, 1)
        for value in values {
            let result = BusCoding.append(value, to: message)
            if result < 0 {
                sd_bus_message_unref(message)
                throw BusError(errno: result)
            }
        }
        return message
    }

    /// Calls a method. The reply arrives while the bus is processed.
    ///
    /// - Parameters:
    ///   - seconds: the time limit for the reply.
    ///   - done: called once. The receiver closes the descriptors in the reply.
    public func call(
        _ destination: String, _ path: String, _ interface: String, _ member: String, _ values: [BusValue] = [],
        timeout seconds: Double = 25, _ done: @escaping (Result<[BusValue], BusError>) -> Void
    ) {
        do throws(BusError) {
            let message = try makeCall(destination, path, interface, member, values)
            defer { sd_bus_message_unref(message) }
            let number = nextCall
            nextCall += 1
            let handler = Handler { [weak self] reply in
                self?.pending[number] = nil
                done(Self.result(reply))
            }
            // sd-bus calls it once: with the reply, or with an error of its own.
            let result = sd_bus_call_async(
                bus, nil, message,
                { reply, context, _ in
                    guard let context else { return 0 }
                    Unmanaged<Handler>.fromOpaque(context).takeUnretainedValue().body(reply)
                    return 1
                }, handler.pointer, Self.microseconds(seconds))
            if result < 0 { throw BusError(errno: result) }
            pending[number] = handler
        } catch {
            done(.failure(error))
        }
    }

    private static func result(_ reply: OpaquePointer?) -> Result<[BusValue], BusError> {
        if let reply, let error = sd_bus_message_get_error(reply) {
            return .failure(BusError(text(error.pointee.name), text(error.pointee.message)))
        }
        guard let reply else { return .failure(.disconnected) }
        return BusReader.read(reply).map { .success($0) } ?? .failure(.unreadable)
    }

    /// Calls a method and blocks until the reply arrives, for programs without an event loop.
    ///
    /// - Parameter seconds: the time limit for the reply.
    /// - Returns: the reply. The caller closes the descriptors in it.
    public func callAndWait(
        _ destination: String, _ path: String, _ interface: String, _ member: String, _ values: [BusValue] = [],
        timeout seconds: Double = 25
    ) throws(BusError) -> [BusValue] {
        let message = try makeCall(destination, path, interface, member, values)
        defer { sd_bus_message_unref(message) }
        var reply: OpaquePointer?
        var error = sd_bus_error()
        defer { sd_bus_error_free(&error) }
        let result = sd_bus_call(bus, message, Self.microseconds(seconds), &error, &reply)
        guard result >= 0 else { throw BusError(text(error.name), text(error.message)) }
        defer { sd_bus_message_unref(reply) }
        guard let values = BusReader.read(reply) else { throw .unreadable }
        return values
    }

    /// Calls the body for each signal with this member and interface, while the bus is processed.
    public func onSignal(
        _ sender: String, _ interface: String, _ member: String, _ body: @escaping ([BusValue]) -> Void
    ) {
        let handler = Handler { body(BusReader.read($0) ?? []) }
        handlers.append(handler)
        var slot: OpaquePointer?
        let rule = "type='signal',sender='\(sender)',interface='\(interface)',member='\(member)'"
        sd_bus_add_match_async(
            bus, &slot, rule,
            { message, context, _ in
                guard let context else { return 0 }
                Unmanaged<Handler>.fromOpaque(context).takeUnretainedValue().body(message)
                return 0
            }, nil, handler.pointer)
        slots.append(slot)
    }

    /// Blocks until a message arrives, or this time is over.
    public func wait(seconds: Double) { sd_bus_wait(bus, Self.microseconds(seconds)) }

    private static func microseconds(_ seconds: Double) -> UInt64 { UInt64(min(max(seconds, 0), 1e9) * 1e6) }
}

func text(_ pointer: UnsafePointer<CChar>?) -> String { pointer.map { String(cString: $0) } ?? "" }
