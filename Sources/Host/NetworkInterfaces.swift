import CHost
import Glibc

/// The network interfaces that can identify a device: physical interfaces with a permanent MAC address.
public struct NetworkInterfaces: Sendable {
    private let root: String
    private let permanentAddress: @Sendable (String) -> [UInt8]?

    /// The interfaces of this device.
    public init() {
        self.init(root: "/sys/class/net") { name in
            var address = [UInt8](repeating: 0, count: 6)
            return upgradelink_permanent_address(name, &address) == 0 ? address : nil
        }
    }

    /// - Parameters:
    ///   - root: a directory laid out as `/sys/class/net`.
    ///   - permanentAddress: reads six bytes from the driver, as `ethtool -P` does; nil if the driver has none.
    public init(root: String, permanentAddress: @escaping @Sendable (String) -> [UInt8]?) {
        self.root = root
        self.permanentAddress = permanentAddress
    }

    public enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
        case noSuchInterface(String)
        case unsuitable(String, reason: String)
        case none

        public var description: String {
            switch self {
            case .noSuchInterface(let name):
                "there is no network interface \"\(name)\": check device.interface, or set device.devKey"
            case .unsuitable(let name, let reason):
                "the network interface \"\(name)\" cannot identify this device: \(reason); set device.devKey, or another device.interface"
            case .none:
                "no physical Ethernet or Wi-Fi interface has a permanent address to derive devKey from: set device.devKey"
            }
        }
    }

    /// The permanent address, six bytes, of the named interface. Without a name: of the first suitable Ethernet interface, or
    /// else of the first suitable Wi-Fi interface, in the order of their names.
    public func identifyingAddress(of name: String?) throws(Failure) -> [UInt8] {
        if let name {
            guard Files.exists("\(root)/\(name)") else { throw .noSuchInterface(name) }
            return try address(of: name)
        }
        let names = ((try? Files.list(root)) ?? []).filter { isPhysical($0) }
        let candidates = names.filter { !isWireless($0) } + names.filter { isWireless($0) }
        for name in candidates {
            if let address = try? address(of: name) { return address }
        }
        throw .none
    }

    private func address(of name: String) throws(Failure) -> [UInt8] {
        guard isPhysical(name) else { throw .unsuitable(name, reason: "it is virtual") }
        guard let address = burntInAddress(of: name) else {
            throw .unsuitable(name, reason: "its driver knows no permanent address")
        }
        guard address.contains(where: { $0 != 0 }), address[0] & 0x01 == 0 else {
            throw .unsuitable(name, reason: "its address is zero or a multicast address")
        }
        // IEEE 802: the second bit of the first octet marks a locally administered address.
        guard address[0] & 0x02 == 0 else {
            throw .unsuitable(name, reason: "its address is locally administered")
        }
        return address
    }

    private func burntInAddress(of name: String) -> [UInt8]? {
        if let address = permanentAddress(name), address.count == 6 { return address }
        // addr_assign_type 0 (NET_ADDR_PERM): the address in use is the permanent one.
        guard read(name, "addr_assign_type") == "0", let text = read(name, "address") else { return nil }
        let octets = text.split(separator: ":").compactMap { UInt8($0, radix: 16) }
        return octets.count == 6 ? octets : nil
    }

    /// Whether the interface is backed by a device, is of type ARPHRD_ETHER, and is neither a bridge nor a bond.
    private func isPhysical(_ name: String) -> Bool {
        let directory = "\(root)/\(name)"
        return Files.exists("\(directory)/device") && !Files.exists("\(directory)/bridge")
            && !Files.exists("\(directory)/bonding") && read(name, "type") == "1"
    }

    private func isWireless(_ name: String) -> Bool {
        Files.exists("\(root)/\(name)/phy80211") || Files.exists("\(root)/\(name)/wireless")
    }

    private func read(_ name: String, _ attribute: String) -> String? {
        guard let bytes = try? Files.read("\(root)/\(name)/\(attribute)", limit: 4096) else { return nil }
        return String(decoding: bytes.filter { $0 > 0x20 }, as: UTF8.self)
    }
}
