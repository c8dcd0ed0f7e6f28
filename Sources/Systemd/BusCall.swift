import CSystemd
import Glibc
public import Host

/// A received method call. Its receiver first looks at the header (sender, interface, member, signature), and reads arguments
/// only of a call that it knows. It calls either ``reply(_:)`` or ``fail(_:)`` once, at once or later.
public final class BusCall {
    private let message: OpaquePointer?
    /// The unique name of the caller's connection.
    public let sender: String
    /// Empty if the caller named none.
    public let interface: String
    public let member: String
    /// The types of the arguments (D-Bus specification, "Type System").
    public let signature: String
    /// Whether the caller accepts that polkit asks the user for a password during the call.
    public let allowsInteraction: Bool

    init(_ message: OpaquePointer?) {
        self.message = sd_bus_message_ref(message)
        sender = text(sd_bus_message_get_sender(message))
        interface = text(sd_bus_message_get_interface(message))
        member = text(sd_bus_message_get_member(message))
        signature = text(sd_bus_message_get_signature(message, 1))
        allowsInteraction = sd_bus_message_get_allow_interactive_authorization(message) > 0
    }

    deinit { sd_bus_message_unref(message) }

    /// Bytes that each text in the arguments may have.
    public static let maximumTextBytes = 8192

    /// Reads the arguments. The signature must consist of basic types. Only texts (`s`) and numbers (`t`) are read; any other
    /// argument becomes ``BusValue/other(_:)``.
    ///
    /// - Returns: nil if a text has more than ``maximumTextBytes``.
    public func arguments() -> [BusValue]? {
        BusCoding.readArguments(message, types: signature, limit: Self.maximumTextBytes)
    }

    /// Copies of the descriptors in the arguments, which must be of the type `h`. The receiver asks for them after the caller
    /// was authorized, because each occupies an entry of this process's table.
    ///
    /// - Returns: fewer files than arguments if this process cannot have more.
    public func files(named names: [String]) -> [OpenFile] {
        zip(BusCoding.readDescriptors(message), names).compactMap { descriptor, name in
            let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
            return copy < 0 ? nil : OpenFile(descriptor: copy, path: name)
        }
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
