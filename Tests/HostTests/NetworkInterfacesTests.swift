import Glibc
import Host
import TestSupport
import Testing

@Suite struct NetworkInterfacesTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    /// An interface as /sys/class/net shows it.
    private func add(
        _ name: String, address: String, assigned: String = "0", physical: Bool = true, type: String = "1",
        extra: [String] = []
    ) throws {
        try scratch.write("\(name)/address", address + "\n")
        try scratch.write("\(name)/addr_assign_type", assigned + "\n")
        try scratch.write("\(name)/type", type + "\n")
        for directory in (physical ? ["device"] : []) + extra {
            try Files.createDirectory("\(scratch.path)/\(name)/\(directory)")
        }
    }

    private func address(of name: String? = nil, permanent: [String: [UInt8]] = [:]) throws -> [UInt8] {
        try NetworkInterfaces(root: scratch.path) { permanent[$0] }.identifyingAddress(of: name)
    }

    @Test func ethernetComesBeforeWiFi() throws {
        try add("eth1", address: "00:11:22:33:44:02")
        try add("eth0", address: "00:11:22:33:44:01")
        try add("aaa", address: "00:11:22:33:44:03", extra: ["phy80211"])
        #expect(try address() == [0, 0x11, 0x22, 0x33, 0x44, 1])
    }

    @Test func wiFiIsUsedIfThereIsNoEthernet() throws {
        try add("lo", address: "00:00:00:00:00:00", physical: false, type: "772")
        try add("wlan0", address: "00:11:22:33:44:09", extra: ["phy80211"])
        #expect(try address() == [0, 0x11, 0x22, 0x33, 0x44, 9])
    }

    @Test func theConfiguredInterfaceIsUsed() throws {
        try add("eth0", address: "00:11:22:33:44:01")
        try add("eth1", address: "00:11:22:33:44:02")
        #expect(try address(of: "eth1").last == 2)
        #expect(throws: NetworkInterfaces.Failure.noSuchInterface("eth7")) { try address(of: "eth7") }
    }

    @Test func aRandomisedAddressIsReplacedByThePermanentOne() throws {
        try add("wlan0", address: "02:aa:bb:cc:dd:ee", assigned: "3", extra: ["phy80211"])
        #expect(throws: NetworkInterfaces.Failure.none) { try address() }
        #expect(try address(permanent: ["wlan0": [0, 1, 2, 3, 4, 5]]) == [0, 1, 2, 3, 4, 5])
    }

    @Test func unsuitableInterfacesAreNotUsed() throws {
        try add("br0", address: "00:11:22:33:44:01", extra: ["bridge"])
        try add("veth0", address: "00:11:22:33:44:02", physical: false)
        try add("local0", address: "02:11:22:33:44:03")
        try add("multi0", address: "01:11:22:33:44:04")
        try add("zero0", address: "00:00:00:00:00:00")
        try add("set0", address: "00:11:22:33:44:05", assigned: "3")
        try add("ib0", address: "00:11:22:33:44:06", type: "32")
        #expect(throws: NetworkInterfaces.Failure.none) { try address() }
        for name in ["br0", "veth0", "local0", "multi0", "zero0", "set0", "ib0"] {
            #expect(throws: NetworkInterfaces.Failure.self) { try address(of: name) }
        }
    }

    /// Each rule alone, for an interface that is suitable otherwise.
    @Test func eachRuleAloneMakesAnInterfaceUnsuitable() throws {
        try add("eth0", address: "00:11:22:33:44:01")
        #expect(try address(of: "eth0").count == 6)
        try add("bond0", address: "00:11:22:33:44:01", extra: ["bonding"])
        try add("short0", address: "00:11:22:33:44")
        try add("long0", address: "00:11:22:33:44:55:66")
        try add("odd0", address: "00:11:22:33:44:xx")
        for name in ["bond0", "short0", "long0", "odd0"] {
            #expect(throws: NetworkInterfaces.Failure.self, "\(name)") { try address(of: name) }
        }
        // What a driver says is not taken if it is no address.
        try add("set0", address: "00:11:22:33:44:05", assigned: "3")
        #expect(throws: NetworkInterfaces.Failure.self) { try address(of: "set0", permanent: ["set0": [1, 2, 3]]) }
        for permanent: [UInt8] in [[0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 1]] {
            #expect(throws: NetworkInterfaces.Failure.self) { try address(of: "eth0", permanent: ["eth0": permanent]) }
        }
        #expect(try address(of: "eth0", permanent: ["eth0": [4, 0, 0, 0, 0, 0]]) == [4, 0, 0, 0, 0, 0])
    }

    /// A first suitable one, not only the first one; older kernels mark Wi-Fi otherwise.
    @Test func anUnsuitableInterfaceIsPassedOver() throws {
        try add("eth0", address: "02:11:22:33:44:01")
        try add("eth1", address: "00:11:22:33:44:02")
        try add("eth2", address: "00:11:22:33:44:03")
        #expect(try address().last == 2)
        try Files.createDirectory("\(scratch.path)/eth1/wireless")
        #expect(try address().last == 3)
    }

    @Test func theInterfacesOfThisMachineCanBeRead() {
        // Both results are correct, because this machine may have no suitable interface.
        do throws(NetworkInterfaces.Failure) {
            #expect(try NetworkInterfaces().identifyingAddress(of: nil).count == 6)
        } catch {
            #expect("\(error)".contains("device.devKey"))
        }
    }
}
