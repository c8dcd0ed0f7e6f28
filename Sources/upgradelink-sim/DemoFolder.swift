import Dispatch
import Glibc
import Host
import Simulator

/// Everything the demonstration writes, in one private folder.
final class DemoFolder: Sendable {
    let path: String
    private let modules: String
    let urlKey = "demo-set-top-box"

    init(modules: String) throws {
        path = try Files.createTemporaryFolder("/tmp/upgradelinkd-demo")
        self.modules = modules.hasPrefix("/") ? modules : "\(Self.currentFolder)/\(modules)"
        for folder in ["files", "etc", "etc/upgradelinkd", "state", "staging", "box", "box/v1"] {
            mkdir("\(path)/\(folder)", 0o700)
        }
        try write("box/v1/version", "VERSION=v1\nVERSION_CODE=1\n")
        symlink("\(path)/box/v1", "\(path)/box/current")
    }

    private static var currentFolder: String {
        guard let folder = getcwd(nil, 0) else { return "." }
        defer { free(folder) }
        return String(cString: folder)
    }

    func remove() { try? Files.removeTree(path) }

    /// Interrupted at the keyboard: nothing is left behind then either. The agent gets the same signal.
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
            folder: "\(path)/files", keys: [KeyPair(accessKey: "demo-access", secretKey: "demo-secret")],
            applications: [
                Application(
                    urlKey: urlKey,
                    versions: [
                        // Version 2 is granted once: an agent that lost the offer would not get it again.
                        Version(versionCode: 2, versionName: "v2", file: "v2.tar", upgradeType: 2, staged: 1)
                    ])
            ])
    }

    /// What the publisher releases once the box runs version 2, and version 3.
    var forcedVersion: Version { Version(versionCode: 3, versionName: "v3", file: "v3.tar", upgradeType: 3) }
    var promptVersion: Version {
        Version(
            versionCode: 4, versionName: "v4", file: "v4.tar", upgradeType: 1,
            promptUpgradeContent: "New: a sleep timer, and subtitles in large print.")
    }

    /// Lets whoever runs the demonstration, who need not be root, own the agent's name on its private bus.
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
            versionFile = "\(path)/box/current/version"
            [poll]
            interval = "3s"
            splay = "1s"
            backOffBase = "1s"
            backOffCap = "2s"
            [download]
            folder = "\(path)/staging"
            speedLimit = "8M"
            [verification]
            keys = ["\(key)"]
            [install]
            gracePeriod = "2s"
            module = "directory"
            moduleFolders = ["\(modules)"]
            files.link = "\(path)/box/current"
            files.versions = "\(path)/box"
            [state]
            folder = "\(path)/state"

            """)
    }

    private func write(_ name: String, _ text: String) throws {
        try Files.replace("\(path)/\(name)", with: Array(text.utf8))
    }
}
