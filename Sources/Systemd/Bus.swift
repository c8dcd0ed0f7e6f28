import CSystemd
import Glibc

/// An error on the bus: its D-Bus error name, and a line for the user.
public struct BusError: Error, Hashable, Sendable, CustomStringConvertible {
    public let name: String
    public let description: String

    public init(_ name: String, _ description: String) {
        self.name = name
        self.description = description
    }

    init(errno code: CInt) {
        name = "org.freedesktop.DBus.Error.Failed"
        description = String(cString: strerror(code < 0 ? -code : code))
    }

    public static func accessDenied(_ line: String) -> BusError {
        BusError("org.freedesktop.DBus.Error.AccessDenied", line)
    }
    public static func invalidArguments(_ line: String) -> BusError {
        BusError("org.freedesktop.DBus.Error.InvalidArgs", line)
    }
    public static func unknownMethod(_ line: String) -> BusError {
        BusError("org.freedesktop.DBus.Error.UnknownMethod", line)
    }
}

/// A received method call. Its receiver calls either ``reply(_:)`` or ``fail(_:)`` once, at once or later.
public final class BusCall {
    private let message: OpaquePointer?
    public let sender: String
    public let interface: String
    public let member: String
    public let arguments: [BusValue]
    /// Whether the caller accepts that polkit asks the user for a password during the call.
    public let allowsInteraction: Bool

    fileprivate init(_ message: OpaquePointer?) {
        self.message = sd_bus_message_ref(message)
        sender = text(sd_bus_message_get_sender(message))
        interface = text(sd_bus_message_get_interface(message))
        member = text(sd_bus_message_get_member(message))
        arguments = BusCoding.read(message)
        allowsInteraction = sd_bus_message_get_allow_interactive_authorization(message) > 0
    }

    deinit {
        for case .descriptor(let descriptor) in arguments { close(descriptor) }
        sd_bus_message_unref(message)
    }

    /// Returns these values to the caller.
    public func reply(_ values: [BusValue] = []) {
        var reply: OpaquePointer?
        guard sd_bus_message_new_method_return(message, &reply) >= 0 else { return }
        defer { sd_bus_message_unref(reply) }
        for value in values where BusCoding.append(value, to: reply) < 0 { return }
        sd_bus_send(sd_bus_message_get_bus(message), reply, nil)
    }

    /// Returns an error to the caller.
    public func fail(_ error: BusError) {
        var reply: OpaquePointer?
        var raw = sd_bus_error()
        sd_bus_error_set(&raw, error.name, error.description)
        defer { sd_bus_error_free(&raw) }
        guard sd_bus_message_new_method_error(message, &reply, &raw) >= 0 else { return }
        sd_bus_send(sd_bus_message_get_bus(message), reply, nil)
        sd_bus_message_unref(reply)
    }
}

/// A connection to the system bus (sd-bus(3)). Only the thread, or the queue, that created it may use it.
public final class Bus {
    private let bus: OpaquePointer
    private var slots: [OpaquePointer?] = []
    private var handlers: [Handler] = []

    private final class Handler {
        let body: (OpaquePointer?) -> Void
        init(_ body: @escaping (OpaquePointer?) -> Void) { self.body = body }
        var pointer: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }
    }

    /// Connects to the address in `DBUS_SYSTEM_BUS_ADDRESS`, or else to the well-known socket.
    public init() throws(BusError) {
        var bus: OpaquePointer?
        let result = sd_bus_open_system(&bus)
        guard result >= 0, let bus else { throw BusError(errno: result) }
        self.bus = bus
        sd_bus_set_exit_on_disconnect(bus, 0)
    }

    /// Connects to the bus at this address (D-Bus specification, "Server Addresses").
    public init(address: String) throws(BusError) {
        var bus: OpaquePointer?
        sd_bus_new(&bus)
        guard let bus else { throw BusError(errno: ENOMEM) }
        self.bus = bus
        sd_bus_set_address(bus, address)
        sd_bus_set_bus_client(bus, 1)
        let result = sd_bus_start(bus)
        if result < 0 { throw BusError(errno: result) }
    }

    deinit {
        slots.forEach { sd_bus_slot_unref($0) }
        sd_bus_flush_close_unref(bus)
    }

    // MARK: the loop

    /// Becomes readable when a message arrives; the bus closes it.
    public var descriptor: CInt { sd_bus_get_fd(bus) }

    /// Whether messages wait to be sent.
    public var hasOutput: Bool { sd_bus_get_events(bus) & POLLOUT != 0 }

    /// The time in seconds after which ``process(atMost:)`` must be called even if no message arrives; nil if there is none.
    public var timeout: Double? {
        var moment: UInt64 = 0
        guard sd_bus_get_timeout(bus, &moment) > 0, moment < .max else { return nil }
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return max(0, Double(moment) / 1e6 - Double(now.tv_sec) - Double(now.tv_nsec) / 1e9)
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

    /// Requests a well-known name.
    ///
    /// - Parameter done: called with an error, or with nil if the name is owned now.
    public func request(name: String, done: @escaping (BusError?) -> Void) {
        call(
            "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
            [.string(name), .uint32(4)]
        ) { result in
            switch result {
            case .success(let values):
                // The flag 4 is DO_NOT_QUEUE; the reply 1 is PRIMARY_OWNER, any other one means that another process owns it.
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
            let handler = Handler { reply in
                done(Self.result(reply))
            }
            // Released by the callback, which sd-bus calls exactly once: with the reply, or with an error of its own.
            let context = Unmanaged.passRetained(handler).toOpaque()
            let result = sd_bus_call_async(
                bus, nil, message,
                { reply, context, _ in
                    guard let context else { return 0 }
                    Unmanaged<Handler>.fromOpaque(context).takeRetainedValue().body(reply)
                    return 1
                }, context, UInt64(seconds * 1e6))
            if result < 0 {
                Unmanaged<Handler>.fromOpaque(context).release()
                throw BusError(errno: result)
            }
        } catch {
            done(.failure(error))
        }
    }

    private static func result(_ reply: OpaquePointer?) -> Result<[BusValue], BusError> {
        if let error = sd_bus_message_get_error(reply) {
            return .failure(BusError(text(error.pointee.name), text(error.pointee.message)))
        }
        return .success(BusCoding.read(reply))
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
        let result = sd_bus_call(bus, message, UInt64(seconds * 1e6), &error, &reply)
        guard result >= 0 else { throw BusError(text(error.name), text(error.message)) }
        defer { sd_bus_message_unref(reply) }
        return BusCoding.read(reply)
    }

    /// Calls the body for each signal with this member and interface, while the bus is processed.
    public func onSignal(
        _ sender: String, _ interface: String, _ member: String, _ body: @escaping ([BusValue]) -> Void
    ) {
        let handler = Handler { body(BusCoding.read($0)) }
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
    public func wait(seconds: Double) { sd_bus_wait(bus, UInt64(seconds * 1e6)) }
}

private func text(_ pointer: UnsafePointer<CChar>?) -> String { pointer.map { String(cString: $0) } ?? "" }
