/// A fault of a device, and how `upgradelinkctl doctor` reports it.
struct PlantedFault: Sendable {
    /// Lines of shell.
    var plant: String
    var undo: String
    /// The name and the result of the finding, as in JSON.
    var name: String
    var result: String
    /// Parts of the text and of the remedy.
    var text: String
    var remedy: String
    /// Whether `upgradelinkd --check-config` also reports it, with exit status 78.
    var isConfigurationFault: Bool

    /// - Parameter option: a drop-in of the configuration, instead of a line of shell.
    init(
        _ name: String, _ text: String, _ remedy: String, result: String = "bad", option: String = "",
        plant: String = "true", undo: String = "true", isConfigurationFault: Bool = false
    ) {
        let dropIn = "/etc/upgradelinkd/upgradelinkd.toml.d/fault.toml"
        (self.name, self.result, self.text, self.remedy) = (name, result, text, remedy)
        self.plant = option.isEmpty ? plant : "\(plant); cat >\(dropIn) <<'EOF'\n\(option)\nEOF\nchmod 644 \(dropIn)"
        self.undo = option.isEmpty ? undo : "\(undo); rm \(dropIn)"
        self.isConfigurationFault = isConfigurationFault
    }
}

extension PlantedFault {
    static let version = "/opt/player.versions/one/version"
    static let modules = "/usr/lib/upgradelinkd/modules"
    static let planted = "\(modules)/planted"
    static let main = "/etc/upgradelinkd/upgradelinkd.toml"

    private static func module(
        _ text: String, _ remedy: String, _ plant: String, undo: String = "true"
    ) -> PlantedFault {
        PlantedFault(
            "update module", text, remedy, option: "install.module = \"planted\"",
            plant: "printf '#!/bin/sh\\n' >\(planted); chmod 755 \(planted); \(plant)",
            undo: "\(undo); rm -f \(planted)")
    }

    /// What the agent cannot read or write.
    static let rights: [PlantedFault] = [
        .init(
            "installed version", "Permission denied", "chgrp upgradelinkd", plant: "chmod 600 \(version)",
            undo: "chmod 644 \(version)", isConfigurationFault: true),
        .init(
            "installed version", "Permission denied", "chmod o+x /opt", plant: "chmod 000 /opt",
            undo: "chmod 755 /opt", isConfigurationFault: true),
        .init(
            "installed version", "/home/version", "ProtectHome=yes",
            option: "device.versionFile = \"/home/version\"", plant: "cp \(version) /home/version",
            undo: "rm /home/version", isConfigurationFault: true),
        .init(
            "installed version", "/var/tmp/version", "PrivateTmp=yes",
            option: "device.versionFile = \"/var/tmp/version\"", plant: "cp \(version) /var/tmp/version",
            undo: "rm /var/tmp/version", isConfigurationFault: true),
        .init(
            "installed version", "Permission denied", "InaccessiblePaths=",
            plant: """
                mkdir -p /etc/systemd/system/upgradelinkd.service.d
                printf '[Service]\\nInaccessiblePaths=/opt\\n' >/etc/systemd/system/upgradelinkd.service.d/f.conf
                systemctl daemon-reload
                """,
            undo: "rm -r /etc/systemd/system/upgradelinkd.service.d; systemctl daemon-reload",
            isConfigurationFault: true),
        .init(
            "installed version", "a directory, not a regular file", "regular file",
            option: "device.versionFile = \"/opt\"", isConfigurationFault: true),
        .init(
            "installed version", "a FIFO", "regular file", option: "device.versionFile = \"/srv/fifo\"",
            plant: "mkfifo /srv/fifo",
            undo: "rm /srv/fifo", isConfigurationFault: true),
        .init(
            "installed version", "File too large", "set device.versionFile",
            plant: "cp \(version) /srv/kept; truncate -s 100000 \(version)",
            undo: "cp /srv/kept \(version)", isConfigurationFault: true),
        .init(
            "installed version", "no line VERSION_CODE", "device.versionCodeKey",
            plant: "cp \(version) /srv/kept; echo VERSION=1 >\(version)", undo: "cp /srv/kept \(version)",
            isConfigurationFault: true),
        .init(
            "identity", "no physical Ethernet or Wi-Fi interface", "does not start",
            plant: "cp -p \(main) /srv/main; sed -i /devKey/d \(main)", undo: "cp -p /srv/main \(main)",
            isConfigurationFault: true),
        .init(
            "credentials", "credentials.accessKeyFile", "chgrp upgradelinkd",
            option: "credentials.accessKeyFile = \"/etc/upgradelinkd/ak\"",
            plant: "echo ak >/etc/upgradelinkd/ak; chmod 600 /etc/upgradelinkd/ak",
            undo: "rm /etc/upgradelinkd/ak", isConfigurationFault: true),
        .init(
            "files", "/etc/upgradelinkd/keys.d/x.pub", "chgrp upgradelinkd",
            plant: """
                sed -n 's/^verification.keys = \\["\\(.*\\)"\\]/\\1/p' \(main) >/etc/upgradelinkd/keys.d/x.pub
                chmod 600 /etc/upgradelinkd/keys.d/x.pub
                """, undo: "rm /etc/upgradelinkd/keys.d/x.pub", isConfigurationFault: true),
        .init(
            "files", "upgradelinkd.toml", "chgrp upgradelinkd", plant: "chmod 600 \(main); chgrp root \(main)",
            undo: "chmod 640 \(main); chgrp upgradelinkd \(main)", isConfigurationFault: true),
        .init(
            "directories", "/var/lib/upgradelinkd", "systemctl restart upgradelinkd",
            plant: "chown root: /var/lib/upgradelinkd", undo: "chown upgradelinkd: /var/lib/upgradelinkd",
            isConfigurationFault: true),
        .init(
            "directories", "/srv/downloads", "ReadWritePaths=/srv/downloads",
            option: "download.directory = \"/srv/downloads\"",
            plant: "install -d -m 700 -o upgradelinkd /srv/downloads", undo: "rmdir /srv/downloads",
            isConfigurationFault: true),
        .init(
            "directories", "no free inodes", "df -i",
            plant: "mount -t tmpfs -o nr_inodes=1,mode=777 tmpfs /var/cache/upgradelinkd",
            undo: "umount /var/cache/upgradelinkd", isConfigurationFault: true),
        .init(
            "certificates", "server.caBundle", "chgrp upgradelinkd", option: "server.caBundle = \"/srv/ca.pem\"",
            plant: "echo '-----BEGIN CERTIFICATE-----' >/srv/ca.pem; chmod 600 /srv/ca.pem",
            undo: "rm /srv/ca.pem", isConfigurationFault: true),
        .init(
            "certificates", "no certificate in PEM", "a file in PEM",
            option: "server.caBundle = \"/srv/ca.pem\"", plant: "echo DER >/srv/ca.pem; chmod 644 /srv/ca.pem",
            undo: "rm /srv/ca.pem", isConfigurationFault: true),
    ]

    static let programs: [PlantedFault] = [
        .init("update module", "absent is not in", "set install.module", option: "install.module = \"absent\""),
        module("is not executable", "chmod +x", "chmod 644 \(planted)"),
        module("needs /bin/absent", "install /bin/absent", "printf '#!/bin/absent\\n' >\(planted)"),
        module("every user can change", "chmod o-w", "chmod 757 \(planted)"),
        module("belongs to the user", "chown root", "chown upgradelinkd \(planted)"),
        module(
            "mounted with noexec", "remount,exec",
            "mount --bind \(modules) \(modules); mount -o remount,bind,noexec \(modules)",
            undo: "umount \(modules)"),
        module("others than root can write to", "chmod go-w", "chmod 777 \(modules)", undo: "chmod 755 \(modules)"),
        .init(
            "module options", "/etc exists and is not a symbolic link", "ln -s",
            option: "install.files = { link = \"/etc\" }"),
        .init(
            "module options", "install.files.destination is missing", "absolute path",
            option: "install.module = \"file\""),
        .init(
            "module options", "others than root can write to /tmp", "chmod go-w",
            option: "install.module = \"file\"\ninstall.files = { destination = \"/tmp/file\" }"),
        .init(
            "module options", "needs \"artifact\"", "install.fileName = \"artifact\"",
            option: "install.module = \"deb\"\ninstall.fileName = \"other\""),
        .init(
            "module options", "needs the program dpkg", "install dpkg",
            option: "install.module = \"deb\"\ninstall.fileName = \"artifact\"",
            plant: "mv /usr/bin/dpkg /usr/bin/dpkg.kept", undo: "mv /usr/bin/dpkg.kept /usr/bin/dpkg"),
        .init(
            "health check", "/usr/bin/absent does not exist", "install it",
            option: "install.healthProgram = [\"/usr/bin/absent\"]"),
        .init(
            "health check", "absent.service does not exist", "correct the option",
            option: "install.healthUnits = [\"absent.service\"]"),
        .init(
            "reboot", "/sbin/absent does not exist", "install it",
            option: "install.rebootCommand = [\"/sbin/absent\"]"),
        .init(
            "windows", "install.gracePeriod", "lengthen install.windows", result: "warn",
            option: "install.windows = [\"02:00-02:10\"]\ninstall.gracePeriod = \"20min\""),
        .init(
            "windows", "times in UTC", "timedatectl set-timezone", result: "warn",
            option: "install.windows = [\"02:00-04:00\"]", plant: "mv /etc/localtime /etc/localtime.kept",
            undo: "mv /etc/localtime.kept /etc/localtime"),
        .init(
            "keys", "there are none", "verification.keys",
            plant: "cp -p \(main) /srv/main; sed -i '/^verification.keys/d' \(main)",
            undo: "cp -p /srv/main \(main)"),
        .init("keys", "verification.mode", "minisign", option: "verification.mode = \"sha256\""),
        .init(
            "configuration", "poll.interval", "upgradelinkd.toml(5)", option: "poll.interval = false",
            isConfigurationFault: true),
    ]

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
