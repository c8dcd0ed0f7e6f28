import Configuration
import Host
import UpdateCore

/// The identity of the device: the configured devKey, or one that is derived from a MAC address. The address is stored, so
/// that the identity stays the same if a network card is replaced or missing.
enum Identity {
    nonisolated struct Memory: Codable, Sendable {
        var address: [UInt8]
        /// The configured interface. If the configuration names another one, the address is read again.
        var interface: String?
    }

    enum DevKey: Hashable {
        case known(String)
        /// The SHA-256 digest of this text, in hex. A worker computes it, because the agent does not load libcrypto.
        case digest(of: String)
    }

    static func devKey(
        _ device: DeviceSettings, directory: String, interfaces: NetworkInterfaces
    ) throws(ConfigurationError) -> DevKey {
        if let devKey = device.devKey { return .known(devKey) }
        let path = "\(directory)/identity.json"
        let address: [UInt8]
        if let memory = remembered(path), memory.interface == device.interface {
            address = memory.address
        } else {
            do throws(NetworkInterfaces.Failure) {
                address = try interfaces.identifyingAddress(of: device.interface)
            } catch {
                throw ConfigurationError(
                    file: "the configuration", key: "device.devKey", problem: "missing, and \(error)")
            }
            do {
                let memory = Memory(address: address, interface: device.interface)
                try StoredFile.write(memory, to: path, limit: Self.limit)
            } catch {
                throw ConfigurationError(
                    file: path, key: "", problem: "the derived devKey cannot be remembered: \(error)")
            }
        }
        return format(address, device)
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
