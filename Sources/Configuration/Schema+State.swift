extension Schema {
    static let state = Section(
        "state", summary: "Where the agent and the installer store their state",
        description: """
            State that an update must not lose belongs on a file system that both versions use. On a device with two root file \
            systems, set both options and `download.directory` to directories on a shared file system. The user upgradelinkd must \
            own `state.directory` and `download.directory`, and the agent must be able to write there: `systemctl edit \
            upgradelinkd`, ReadWritePaths=.
            """,
        options: [
            Option(
                "state.directory", .path, computed: "`/var/lib/upgradelinkd`", example: "/var/lib/upgradelinkd",
                change: .restart,
                summary: "The agent's own directory",
                description: """
                    Without this option it is the state directory that systemd passes to the agent (StateDirectory=, \
                    systemd.exec(5)). A reload with another directory is refused.
                    """),
            Option(
                "state.installerDirectory", .path,
                computed:
                    "`/var/lib/upgradelink-installer`, or `installer` below `state.directory` if only that is set",
                example: "/var/lib/upgradelink-installer",
                summary: "The installer's own directory, which the agent cannot read",
                description: """
                    Only root may be able to write to it and to the directories above it. The next installation uses a changed \
                    directory, and does not find what is in the old one: move it while no installation is pending.
                    """),
        ])
}
