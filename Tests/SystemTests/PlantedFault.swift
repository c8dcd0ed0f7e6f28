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
    /// It is unusual, but no fault: nothing is BAD, and there is no warning.
    var isHarmless: Bool

    /// - Parameters:
    ///   - remedy: empty if there is none.
    ///   - option: a drop-in of the configuration, instead of a line of shell.
    init(
        _ name: String, _ text: String, _ remedy: String, result: String = "bad", option: String = "",
        plant: String = "true", undo: String = "true", isConfigurationFault: Bool = false, isHarmless: Bool = false
    ) {
        let dropIn = "/etc/upgradelinkd/upgradelinkd.toml.d/fault.toml"
        (self.name, self.result, self.text, self.remedy) = (name, result, text, remedy)
        self.plant = option.isEmpty ? plant : "\(plant); cat >\(dropIn) <<'EOF'\n\(option)\nEOF\nchmod 644 \(dropIn)"
        self.undo = option.isEmpty ? undo : "\(undo); rm \(dropIn)"
        (self.isConfigurationFault, self.isHarmless) = (isConfigurationFault, isHarmless)
    }

    /// - Parameters:
    ///   - lines: a drop-in of the unit.
    ///   - then: a line of shell that follows each change of the drop-in.
    init(
        _ name: String, _ text: String, _ remedy: String, result: String = "bad", unit: String, _ lines: String,
        then: String = "true", isConfigurationFault: Bool = false, isHarmless: Bool = false
    ) {
        let directory = "/etc/systemd/system/\(unit).d"
        self.init(
            name, text, remedy, result: result,
            plant: """
                mkdir -p \(directory)
                cat >\(directory)/fault.conf <<'EOF'
                \(lines)
                EOF
                systemctl daemon-reload; \(then)
                """,
            undo: "rm -r \(directory); systemctl daemon-reload; \(then)", isConfigurationFault: isConfigurationFault,
            isHarmless: isHarmless)
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
            "directories", "/srv/file (download.directory) is not a directory", "move it away",
            option: "download.directory = \"/srv/file\"", plant: "touch /srv/file; chmod 777 /srv/file",
            undo: "rm /srv/file", isConfigurationFault: true),
        .init(
            "directories", "/srv/link (state.directory) is a symbolic link that points nowhere", "readlink /srv/link",
            option: "state.directory = \"/srv/link\"", plant: "ln -s /absent /srv/link", undo: "rm /srv/link",
            isConfigurationFault: true),
        .init(
            "directories", "/srv/file (metrics.file) is not a directory", "move it away", result: "warn",
            option: "metrics.file = \"/srv/file/x.prom\"", plant: "touch /srv/file", undo: "rm /srv/file"),
        .init(
            "agent's rights", "User=absent does not exist", "systemctl edit upgradelinkd", unit: "upgradelinkd.service",
            "[Service]\nUser=absent", isConfigurationFault: true),
        .init(
            "agent's rights", "the unit's group absent does not exist", "systemctl edit upgradelinkd",
            unit: "upgradelinkd.service", "[Service]\nSupplementaryGroups=absent", isConfigurationFault: true),
        .init(
            "agent's rights", "there is no user upgradelinkd", "systemd-sysusers",
            plant: "cp -p /etc/passwd /srv/passwd; sed -i '/^upgradelinkd:/d' /etc/passwd",
            undo: "cp -p /srv/passwd /etc/passwd", isConfigurationFault: true),
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
        module("the group", "chmod g-w", "chgrp upgradelinkd \(planted); chmod 775 \(planted)"),
        module("is empty", "install the program again", ": >\(planted)"),
        module("does not begin with #!", "sed -i '1i", "echo 'exit 0' >\(planted)"),
        module("has no interpreter", "write #!/bin/sh", "echo '#!' >\(planted)"),
        module("needs /bin,", "install /bin", "echo '#!/bin' >\(planted)"),
        module("needs nosuchpython", "install nosuchpython", "echo '#!/usr/bin/env nosuchpython' >\(planted)"),
        module("CRLF line ends", "sed -i 's/\\r$//'", "printf '#!/bin/sh\\r\\n' >\(planted)"),
        module("damaged program", "install the program again", "printf '\\177ELF garbage' >\(planted)"),
        module(
            "another kind of processor", "for this device",
            "cat /bin/true >\(planted); printf '\\376\\376' | dd of=\(planted) bs=1 seek=18 conv=notrunc"),
        .init(
            "module options", "/opt/modules/deb is not a module of this package", "", result: "skip",
            option: """
                install.module = "deb"
                install.moduleDirectories = ["/opt/modules"]
                install.fileName = "other"
                """,
            plant: "mkdir /opt/modules; printf '#!/bin/sh\\n' >/opt/modules/deb; chmod 755 /opt/modules/deb",
            undo: "rm -r /opt/modules", isHarmless: true),
        .init(
            "health check", "/srv/health is empty", "install the program again",
            option: "install.healthProgram = [\"/srv/health\"]", plant: ": >/srv/health; chmod 755 /srv/health",
            undo: "rm /srv/health"),
        .init(
            "reboot", "/srv/reboot is empty", "install the program again",
            option: "install.rebootCommand = [\"/srv/reboot\"]", plant: ": >/srv/reboot; chmod 755 /srv/reboot",
            undo: "rm /srv/reboot"),
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
            // Other programs need /tmp as it is.
            "module options", "others than root can write to /tmp",
            "set install.files.destination to another directory",
            option: "install.module = \"file\"\ninstall.files = { destination = \"/tmp/file\" }"),
        .init(
            "module options", "/srv/file is not a directory", "move it away",
            option: "install.module = \"file\"\ninstall.files = { destination = \"/srv/file/x\" }",
            plant: "touch /srv/file", undo: "rm /srv/file"),
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
        .init(
            "configuration", "server.url", "upgradelinkd.toml(5)", option: "server.url = \"http://h:99999/\"",
            isConfigurationFault: true),
    ]
}
