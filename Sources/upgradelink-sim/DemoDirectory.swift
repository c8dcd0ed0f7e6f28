import Dispatch
import Glibc
import Host
import Simulator

/// The private directory of everything that the demonstration writes.
final class DemoDirectory: Sendable {
    let path: String
    private let modules: String
    let urlKey = "demo-device"

    init(modules: String) throws {
        path = try Files.createTemporaryDirectory("/tmp/upgradelinkd-demo")
        self.modules = modules.hasPrefix("/") ? modules : "\(Self.currentDirectory)/\(modules)"
        for directory in ["files", "etc", "etc/upgradelinkd", "state", "staging", "device", "device/v1"] {
            mkdir("\(path)/\(directory)", 0o700)
        }
        try write("device/v1/version", "VERSION=v1\nVERSION_CODE=1\n")
        symlink("\(path)/device/v1", "\(path)/device/current")
    }

    private static var currentDirectory: String {
        guard let directory = getcwd(nil, 0) else { return "." }
        defer { free(directory) }
        return String(cString: directory)
    }

    func remove() { try? Files.removeTree(path) }

    /// Removes the directory if a signal ends the demonstration. The agent gets a signal from the keyboard too.
    func removeOnSignals() {
        for number in [SIGINT, SIGTERM] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { [self] in
                _ = source
                remove()
                exit(130)
            }
            source.activate()
        }
    }

    // MARK: configurations

    var serverConfiguration: SimulatorConfiguration {
        SimulatorConfiguration(
            directory: "\(path)/files", keys: [KeyPair(accessKey: "demo-access", secretKey: "demo-secret")],
            applications: [
                Application(
                    urlKey: urlKey,
                    versions: [
                        // Version 2 is granted once: if the agent lost the offer, it would not get it again.
                        Version(versionCode: 2, versionName: "v2", file: "v2.tar", upgradeType: 2, staged: 1)
                    ])
            ])
    }

    /// The version that the publisher releases once the device runs version 2.
    var forcedVersion: Version { Version(versionCode: 3, versionName: "v3", file: "v3.tar", upgradeType: 3) }
    /// The version that the publisher releases once the device runs version 3.
    var promptVersion: Version {
        Version(
            versionCode: 4, versionName: "v4", file: "v4.tar", upgradeType: 1,
            promptUpgradeContent: "New: a sleep timer, and subtitles in large print.")
    }

    /// A policy that lets every user own the agent's name on the private bus, because the demonstration does not need root.
    func writeBusPolicy() throws -> String {
        try write(
            "bus-policy.conf",
            """
            <busconfig>
              <policy context="default">
                <allow own="org.upgradelink.Agent1"/>
                <allow send_destination="org.upgradelink.Agent1"/>
              </policy>
            </busconfig>

            """)
        return "\(path)/bus-policy.conf"
    }

    func writeAgentConfiguration(server: String, key: String) throws {
        try write(
            "etc/upgradelinkd/upgradelinkd.toml",
            """
            [server]
            url = "\(server)"
            [credentials]
            accessKey = "demo-access"
            secretKey = "demo-secret"
            [device]
            urlKey = "\(urlKey)"
            devKey = "001122aabbcc"
            versionFile = "\(path)/device/current/version"
            [poll]
            interval = "3s"
            splay = "1s"
            backOffBase = "1s"
            backOffCap = "2s"
            [download]
            directory = "\(path)/staging"
            speedLimit = "8M"
            [verification]
            keys = ["\(key)"]
            [install]
            gracePeriod = "2s"
            module = "directory"
            moduleDirectories = ["\(modules)"]
            files.link = "\(path)/device/current"
            files.versions = "\(path)/device"
            [state]
            directory = "\(path)/state"

            """)
    }

    private func write(_ name: String, _ text: String) throws {
        try Files.replace("\(path)/\(name)", with: Array(text.utf8))
    }
}
