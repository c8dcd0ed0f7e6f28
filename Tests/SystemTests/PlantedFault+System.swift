/// Faults of the units, of the programs that they start, and of the files around them.
extension PlantedFault {
    private static let units = "/usr/lib/systemd/system"
    private static let libraries = "/usr/lib/upgradelinkd"
    private static let socket = "/run/upgradelinkd-installer.socket"

    static let system: [PlantedFault] = [
        .init(
            "resume", "masked", "systemctl unmask",
            plant: "systemctl mask upgradelink-installer-resume",
            undo: "systemctl unmask upgradelink-installer-resume"),
        .init(
            "resume", "nothing starts", "add-wants",
            plant: """
                ln -s /dev/null /etc/systemd/system/multi-user.target.wants/upgradelink-installer-resume.service
                systemctl daemon-reload
                """,
            undo: """
                rm /etc/systemd/system/multi-user.target.wants/upgradelink-installer-resume.service
                systemctl daemon-reload
                systemctl start upgradelink-installer-resume
                """),
        .init(
            "installer", "upgradelink-installer.socket is inactive", "systemctl start",
            plant: "systemctl stop upgradelink-installer.socket",
            undo: "systemctl start upgradelink-installer.socket"),
        .init(
            "installer", "was removed", "systemctl restart",
            plant: "mv /run/upgradelinkd-installer.socket /run/kept.socket",
            undo: "mv /run/kept.socket /run/upgradelinkd-installer.socket"),
        .init(
            "installer", "the agent cannot connect to \(socket)", "systemctl restart upgradelink-installer.socket",
            plant: "chmod 600 \(socket)", undo: "chmod 660 \(socket)"),
        .init(
            "installer", "the agent cannot connect to \(socket)", "SocketGroup=upgradelinkd",
            unit: "upgradelink-installer.socket", "[Socket]\nSocketGroup=daemon",
            // An active service keeps its socket.
            then: "systemctl stop upgradelink-installer.service; systemctl restart upgradelink-installer.socket"),
        .init(
            "installer", "has User=daemon, and only root can install", "systemctl revert",
            unit: "upgradelink-installer.service", "[Service]\nUser=daemon"),
        .init(
            "installer", "/absent does not exist", "install it", unit: "upgradelink-installer.service",
            "[Service]\nExecStart=\nExecStart=/absent --listen"),
        .init(
            "installer", "does not run upgradelink-installer", "systemctl revert",
            unit: "upgradelink-installer.service", "[Service]\nExecStart=\nExecStart=/bin/true"),
        .init(
            "installer", "upgradelink-installer.socket is active", "", result: "ok",
            unit: "upgradelink-installer.service",
            "[Service]\nExecStart=\nExecStart=nice \(libraries)/upgradelink-installer --listen", isHarmless: true),
        .init(
            "installer", "cannot load upgradelink-installer.service (bad-setting)", "systemctl status",
            unit: "upgradelink-installer.service", "[Service]\nExecStart="),
        .init(
            "installer", "upgradelink-installer.service is not there", "install upgradelinkd again",
            plant: "mv \(units)/upgradelink-installer.service /srv; systemctl daemon-reload",
            undo: "mv /srv/upgradelink-installer.service \(units); systemctl daemon-reload"),
        .init(
            "installer", "upgradelink-installer is a symbolic link that leads nowhere", "install the program",
            plant: """
                mv \(libraries)/upgradelink-installer /srv/kept.installer
                ln -s /absent \(libraries)/upgradelink-installer
                """,
            undo: "mv -f /srv/kept.installer \(libraries)/upgradelink-installer"),
        .init(
            "installer", "upgradelink-installer.service has failed", "reset-failed",
            plant: """
                systemctl start upgradelink-installer.service
                systemctl kill -s KILL upgradelink-installer.service
                for i in $(seq 150); do
                    [ "$(systemctl is-active upgradelink-installer.service)" = failed ] && break
                    sleep 0.2
                done
                """,
            undo: "systemctl reset-failed upgradelink-installer.service"),
        .init(
            "server", "upgradelink-fetch is not executable", "chmod +x",
            plant: """
                mv \(libraries)/upgradelink-fetch /srv/kept.fetch
                cp /bin/true \(libraries)/upgradelink-fetch; chmod 644 \(libraries)/upgradelink-fetch
                """,
            undo: "mv -f /srv/kept.fetch \(libraries)/upgradelink-fetch"),
        .init(
            "server", "the agent cannot execute \(libraries)/upgradelink-fetch", "install upgradelinkd again",
            plant: """
                cp -L \(libraries)/upgradelink-fetch /srv/own.fetch; chmod 744 /srv/own.fetch
                mv \(libraries)/upgradelink-fetch /srv/kept.fetch; mv /srv/own.fetch \(libraries)/upgradelink-fetch
                """,
            undo: "mv -f /srv/kept.fetch \(libraries)/upgradelink-fetch"),
        // The update check takes the way of the agent.
        .init(
            "server", "cannot be reached", "server.proxy", unit: "upgradelinkd.service",
            "[Service]\nEnvironment=http_proxy=http://127.0.0.1:9"),
        .init(
            "DNS", "the proxy resolves names (http_proxy)", "", result: "skip", unit: "upgradelinkd.service",
            "[Service]\nEnvironment=http_proxy=http://127.0.0.1:9"),
        .init(
            "DNS", "127.0.0.1 is found", "", result: "ok", unit: "upgradelinkd.service",
            "[Service]\nEnvironment=http_proxy=http://127.0.0.1:9 no_proxy=localhost,127.0.0.0/8", isHarmless: true),
        .init("DNS", "::1 is found", "", result: "ok", option: "server.url = \"http://[::1]:8480\""),
        .init(
            "unit", "cannot load upgradelinkd.service (bad-setting)", "systemctl status", unit: "upgradelinkd.service",
            "[Service]\nExecStart="),
        .init(
            "state", "/srv/file is not a directory", "move it away", option: "state.installerDirectory = \"/srv/file\"",
            plant: "touch /srv/file", undo: "rm /srv/file"),
        .init(
            "state", "/srv/link is a symbolic link of user", "chown -h root /srv/link",
            option: "state.installerDirectory = \"/srv/link\"",
            plant: "ln -s /var/lib/upgradelink-installer /srv/link; chown -h upgradelinkd /srv/link",
            undo: "rm /srv/link"),
        .init(
            "unit", "does not start at boot", "systemctl enable", plant: "systemctl disable upgradelinkd",
            undo: "systemctl enable upgradelinkd"),
        .init(
            "unit", "have changed", "daemon-reload", result: "warn",
            plant: "touch -d '+10 seconds' /usr/lib/systemd/system/upgradelinkd.service",
            undo: "systemctl daemon-reload"),
        .init(
            "state", "others than root can write to /var/lib/upgradelink-installer", "chmod go-w",
            plant: "chmod 777 /var/lib/upgradelink-installer", undo: "chmod 700 /var/lib/upgradelink-installer"),
        .init(
            "accounts", "no group upgradelink,", "systemd-sysusers", result: "warn",
            plant: "cp -p /etc/group /srv/group; sed -i '/^upgradelink:/d' /etc/group",
            undo: "cp -p /srv/group /etc/group"),
        .init(
            "accounts", "no user upgradelinkd", "systemd-sysusers",
            plant: "cp -p /etc/passwd /srv/passwd; sed -i '/^upgradelinkd:/d' /etc/passwd",
            undo: "cp -p /srv/passwd /etc/passwd"),
        .init(
            "D-Bus", "org.upgradelink.policy", "install upgradelinkd again", result: "warn",
            plant: "mv /usr/share/polkit-1/actions/org.upgradelink.policy /srv",
            undo: "mv /srv/org.upgradelink.policy /usr/share/polkit-1/actions"),
    ]
}
