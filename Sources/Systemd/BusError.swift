import Glibc

/// An error on the bus: its D-Bus error name, and a line for the user.
public struct BusError: Error, Hashable, Sendable, CustomStringConvertible {
    public let name: String
    public let description: String

    public init(_ name: String, _ description: String) {
        self.name = name
        self.description = description
    }

    static let disconnected = BusError("org.freedesktop.DBus.Error.Disconnected", "the connection to the bus has ended")

    static let unreadable = BusError(
        "org.freedesktop.DBus.Error.InvalidSignature", "the reply contains unexpected values")

    init(errno code: CInt) {
        name = "org.freedesktop.DBus.Error.Failed"
        description = String(cString: strerror(code < 0 ? -code : code))
    }
}
