public import Configuration
public import Host
import UpdateCore

/// The identity of the device: the configured devKey, or one that is derived from a MAC address. The address is stored, so
/// that the identity stays the same if a network card is replaced or missing.
public enum Identity {
    public struct Memory: Codable, Sendable {
        public var address: [UInt8]
        /// The configured interface. If the configuration names another one, the address is read again.
        public var interface: String?
    }

    public enum DevKey: Hashable, Sendable {
        case known(String)
        /// The SHA-256 digest of this text, in hex. A worker computes it, because the agent does not load libcrypto.
        case digest(of: String)
    }

    /// The address that a devKey is derived from, six bytes, and whether it was stored before.
    public struct Found: Sendable {
        public var address: [UInt8]
        public var isRemembered: Bool
    }

    public static func path(_ directory: String) -> String { "\(directory)/identity.json" }

    /// Finds the address without storing it.
    ///
    /// - Parameter directory: the state directory.
    public static func find(
        interface: String?, directory: String, interfaces: NetworkInterfaces
    ) throws(NetworkInterfaces.Failure) -> Found {
        if let memory = remembered(path(directory)), memory.interface == interface {
            return Found(address: memory.address, isRemembered: true)
        }
        return Found(address: try interfaces.identifyingAddress(of: interface), isRemembered: false)
    }

    /// Finds the devKey, and stores the address that it is derived from.
    ///
    /// - Parameter directory: the state directory.
    public static func devKey(
        _ device: DeviceSettings, directory: String, interfaces: NetworkInterfaces
    ) throws(ConfigurationError) -> DevKey {
        if let devKey = device.devKey { return .known(devKey) }
        let found: Found
        do throws(NetworkInterfaces.Failure) {
            found = try find(interface: device.interface, directory: directory, interfaces: interfaces)
        } catch {
            throw ConfigurationError(
                file: "the configuration", key: "device.devKey", problem: "missing, and \(error)")
        }
        if !found.isRemembered {
            do {
                let memory = Memory(address: found.address, interface: device.interface)
                try StoredFile.write(memory, to: path(directory), limit: Self.limit)
            } catch {
                throw ConfigurationError(
                    file: path(directory), key: "", problem: "the derived devKey cannot be remembered: \(error)")
            }
        }
        return format(found.address, device)
    }

    private static let limit = 4096

    private static func remembered(_ path: String) -> Memory? {
        guard let memory = try? StoredFile.read(Memory.self, from: path, limit: limit)?.value,
            memory.address.count == 6
        else { return nil }
        return memory
    }

    private static func format(_ address: [UInt8], _ device: DeviceSettings) -> DevKey {
        let octets = address.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        return switch device.devKeyFormat {
        case .hex: .known(octets.joined())
        case .upperHex: .known(octets.joined().uppercased())
        case .colons: .known(octets.joined(separator: ":"))
        case .upperColons: .known(octets.joined(separator: ":").uppercased())
        case .sha256: .digest(of: device.devKeySalt + octets.joined())
        }
    }
}
