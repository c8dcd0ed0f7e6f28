import Glibc
import Host
import Simulator
import TestSupport

/// A device in a container, which runs version 1 of `/opt/player`, and the simulated server next to it.
struct DeviceFixture: Sendable {
    let container: Container
    private let scratch: Scratch
    private let publisher: Publisher

    init(_ container: Container, versions: [(code: Int, type: Int)] = [], ballast: Int = 500_000) async throws {
        self.container = container
        scratch = try Scratch()
        publisher = try await Publisher(directory: "\(scratch.path)/publisher")
        try Files.createDirectory("\(container.root)/srv")
        for version in versions {
            try await publisher.release(
                "\(container.root)/srv/v\(version.code)", urlKey: "device", versionCode: version.code, ballast: ballast)
        }
        try offer(versions)
        try container.write(
            "etc/systemd/system/sim.service",
            """
            [Service]
            ExecStart=/usr/local/bin/upgradelink-sim serve /srv/sim.toml
            StandardOutput=append:/srv/outside/sim.log
            [Install]
            WantedBy=multi-user.target
            """)
        try container.write("opt/player.versions/one/version", "VERSION=v1\nVERSION_CODE=1\n")
        symlink("/opt/player.versions/one", "\(container.root)/opt/player")
        // Only root can read the keys: systemd passes them to the agent.
        try container.write("etc/credstore/upgradelinkd.accessKey", "ak\n", mode: 0o600)
        try container.write("etc/credstore/upgradelinkd.secretKey", "sk\n", mode: 0o600)
        try configure()
    }

    /// Sets the versions that the server offers after its next start. The quota of the others is consumed: the server still has
    /// their files, which a device may be downloading.
    func offer(_ versions: [(code: Int, type: Int)]) throws {
        let codes = try Files.list("\(container.root)/srv").compactMap { $0.hasPrefix("v") ? Int($0.dropFirst()) : nil }
        let others = codes.filter { code in !versions.contains { $0.code == code } }
        let entries = (versions + others.map { (code: $0, type: 2) }).map { version in
            """
            [[applications.versions]]
            versionCode = \(version.code)
            versionName = "v\(version.code)"
            file = "v\(version.code)"
            upgradeType = \(version.type)
            \(others.contains(version.code) ? "staged = 0" : "")

            """
        }
        try container.write(
            "srv/sim.toml",
            """
            directory = "/srv"
            [[keys]]
            accessKey = "ak"
            secretKey = "sk"
            [[applications]]
            urlKey = "device"
            \(entries.joined())
            """)
    }

    /// Signs a file of /srv as what the server offers for a version.
    func sign(version: Int) async throws {
        try await publisher.sign("\(container.root)/srv/v\(version)", comment: "urlKey=device versionCode=\(version)")
    }

    /// - Parameter settle: an option that 0.1.0 does not know.
    func configure(
        module: String = "directory", files: String = "link = \"/opt/player\"",
        versionFile: String = "/opt/player/version", install: String = "", more: String = "",
        settle: String = "healthSettle = \"1s\""
    ) throws {
        try container.edit(
            "etc/upgradelinkd/upgradelinkd.toml",
            """
            verification.keys = ["\(publisher.publicKey)"]
            [server]
            url = "http://127.0.0.1:8480"
            [device]
            urlKey = "device"
            devKey = "d1"
            versionFile = "\(versionFile)"
            [poll]
            splay = "1s"
            backOffBase = "1s"
            backOffCap = "5s"
            [install]
            module = "\(module)"
            files = { \(files) }
            retryDelay = "1s"
            \(settle)
            \(install)
            \(more)
            """)
    }

    /// Writes the whole configuration, with the keys, into the file in /etc in place: its owner and mode are kept.
    func editOneFile() throws {
        for name in ["accessKey", "secretKey"] { container.remove("etc/credstore/upgradelinkd.\(name)") }
        try configure(more: "[credentials]\naccessKey = \"ak\"\nsecretKey = \"sk\"\n")
    }

    /// Writes a module that works like `directory` and needs a reboot. It records its states, and stops at the end of the state
    /// that `/etc/stop-at` names.
    func writeRebootingModule() throws {
        try container.write(
            "usr/lib/upgradelinkd/modules/rebooting",
            """
            #!/bin/sh
            if [ "$1" = NeedsArtifactReboot ]; then echo Automatic; exit 0; fi
            case "$1" in Supports* | Provide*) ;; *) echo "$1" >>/srv/states; sync /srv/states ;; esac
            /usr/lib/upgradelinkd/modules/directory "$@" || exit
            if [ "$1" = "$(cat /etc/stop-at 2>/dev/null)" ]; then
                touch /run/stopped
                sleep 1000
            fi
            """, mode: 0o755)
    }

    /// The states that the module was called for, in order.
    var states: String { container.read("srv/states").split(separator: "\n").joined(separator: " ") }

    /// The results of upgrades to this version that were reported to the server, in order.
    func reports(of version: Int) -> [Int] {
        container.readOutside("sim.log").matches(of: /app_upgrade_upgrade of (\d+): (\d+)/).compactMap { match in
            Int(match.1) == version ? Int(match.2) : nil
        }
    }
}
