import Configuration
import FoundationEssentials
import Host
import UpdateCore

/// Who the box is: the configured devKey, or one derived from a MAC address and remembered, so that a swapped or
/// missing network card does not make another box of it.
enum Identity {
    private struct Memory: Codable {
        var address: [UInt8]
        /// The configured interface it was read from; another one there is a wish for another address.
        var interface: String?
    }

    /// - Parameter sha256: digests a text, in hex; the agent itself has no cryptography linked.
    static func devKey(
        _ device: DeviceSettings, folder: String, interfaces: NetworkInterfaces,
        sha256: (String) throws(ConfigurationError) -> String
    ) throws(ConfigurationError) -> String {
        if let devKey = device.devKey { return devKey }
        let path = "\(folder)/identity.json"
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
                try Files.replace(path, with: Array(try JSONEncoder().encode(memory)))
            } catch {
                throw ConfigurationError(
                    file: path, key: "", problem: "the derived devKey cannot be remembered: \(error)")
            }
        }
        return try format(address, device, sha256)
    }

    private static func remembered(_ path: String) -> Memory? {
        guard let bytes = try? Files.read(path, limit: 4096),
            let memory = try? JSONDecoder().decode(Memory.self, from: Data(bytes)), memory.address.count == 6
        else { return nil }
        return memory
    }

    private static func format(
        _ address: [UInt8], _ device: DeviceSettings, _ sha256: (String) throws(ConfigurationError) -> String
    ) throws(ConfigurationError) -> String {
        let octets = address.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        switch device.devKeyFormat {
        case .hex: return octets.joined()
        case .upperHex: return octets.joined().uppercased()
        case .colons: return octets.joined(separator: ":")
        case .upperColons: return octets.joined(separator: ":").uppercased()
        case .sha256: return try sha256(device.devKeySalt + octets.joined())
        }
    }
}
