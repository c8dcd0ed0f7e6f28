import Configuration
import DeviceChecks
import Host
import TestSupport
import Testing

@testable import Agent

@MainActor @Suite struct IdentityTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private func addInterface(_ name: String, _ address: String) throws {
        try scratch.write("net/\(name)/address", address)
        try scratch.write("net/\(name)/addr_assign_type", "0")
        try scratch.write("net/\(name)/type", "1")
        try Files.createDirectory("\(scratch.path)/net/\(name)/device")
    }

    private func devKey(_ device: String = "") async throws -> String {
        try scratch.write(
            "etc/upgradelinkd/upgradelinkd.toml",
            "[credentials]\naccessKey = \"a\"\nsecretKey = \"b\"\n[device]\nurlKey = \"k\"\nversionCode = 1\n\(device)\n[verification]\nkeysDirectory = \"/\""
        )
        let settings = try Settings.load(root: scratch.path, environment: [:])
        try Files.createDirectory("\(scratch.path)/state")
        let interfaces = NetworkInterfaces(root: "\(scratch.path)/net") { _ in nil }
        switch try Identity.devKey(settings.device, directory: "\(scratch.path)/state", interfaces: interfaces) {
        case .known(let key): return key
        case .digest(let text):
            let fetch = FetchWorker(.init(root: "/", programs: programsDirectory, environment: [:]))
            return await withCheckedContinuation { continuation in
                fetch.digest(text) { continuation.resume(returning: $0 ?? "no digest") }
            }
        }
    }

    @Test(
        arguments: [
            ("", "001122aabbcc"), ("devKeyFormat = \"upperHex\"", "001122AABBCC"),
            ("devKeyFormat = \"colons\"", "00:11:22:aa:bb:cc"),
            ("devKeyFormat = \"upperColons\"", "00:11:22:AA:BB:CC"),
            // printf '%s' salt001122aabbcc | sha256sum
            (
                "devKeyFormat = \"sha256\"\ndevKeySalt = \"salt\"",
                "e265d047b824a6d2c5a6ed8ac705a36fd9d55f13a263c2d056890f1ce0b58581"
            ),
            ("devKey = \"my-device\"", "my-device"),
        ])
    func theDevKeyHasTheConfiguredForm(device: String, expected: String) async throws {
        try addInterface("eth0", "00:11:22:aa:bb:cc")
        #expect(try await devKey(device) == expected)
    }

    @Test func aMissingOrReplacedNetworkCardDoesNotChangeTheDevKey() async throws {
        try addInterface("eth0", "00:11:22:aa:bb:cc")
        #expect(try await devKey() == "001122aabbcc")
        try addInterface("eth0", "00:99:99:99:99:99")
        #expect(try await devKey() == "001122aabbcc")
        try Files.removeTree("\(scratch.path)/net")
        #expect(try await devKey() == "001122aabbcc")
        #expect(try await devKey("devKeyFormat = \"colons\"") == "00:11:22:aa:bb:cc")
    }

    @Test func anotherConfiguredInterfaceChangesTheDevKey() async throws {
        try addInterface("eth0", "00:11:22:aa:bb:cc")
        try addInterface("eth1", "00:11:22:aa:bb:dd")
        #expect(try await devKey() == "001122aabbcc")
        #expect(try await devKey("interface = \"eth1\"") == "001122aabbdd")
    }

    @Test func noNetworkCardAndNoStoredKeyIsAConfigurationError() async throws {
        do {
            _ = try await devKey()
            Issue.record("there is no source for a key")
        } catch let error as ConfigurationError {
            #expect("\(error)".contains("device.devKey: missing, and no physical Ethernet or Wi-Fi interface"))
        }
    }

    @Test func aMissingSaltIsAConfigurationError() async throws {
        try addInterface("eth0", "00:11:22:aa:bb:cc")
        await #expect(throws: ConfigurationErrors.self) { try await devKey("devKeyFormat = \"sha256\"") }
    }
}
