import UpdateCore

extension Schema {
    static let install = Section(
        "install", summary: "The installation: module, maintenance windows, reboot and health check",
        options: moduleOptions + windowOptions + rebootOptions + healthOptions)

    /// The states of a module and the queries, as Mender's update module protocol, version 3, names them.
    private static let moduleStates = [
        "Download", "ArtifactInstall", "NeedsArtifactReboot", "ArtifactReboot", "ArtifactVerifyReboot",
        "ArtifactCommit",
        "Cleanup", "SupportsRollback", "ArtifactRollback", "ArtifactRollbackReboot", "ArtifactVerifyRollbackReboot",
        "ArtifactFailure",
    ]

    private static var moduleOptions: [Option] {
        [
            Option(
                "install.module", .fileName, "file",
                summary: "The update module",
                description: """
                    `file`, `directory`, `image`, `deb`, `rauc` and `swupdate` come with upgradelinkd; Mender's modules work too. See \
                    upgradelink-modules(7).
                    """),
            Option(
                "install.moduleDirectories", .texts(.paths),
                .list(["/usr/lib/upgradelinkd/modules", "/usr/share/mender/modules/v3"]),
                summary: "The directories that contain modules"),
            Option(
                "install.fileName", .fileName, "artifact",
                summary: "The artifact's name among the module's files"),
            Option(
                "install.files", .textTable, computed: "`{}`", example: .table(["destination": "/opt/app/app.img"]),
                summary: "Small files next to the artifact, by name and content",
                description: "Each module documents the files that it reads, in upgradelink-modules(7)."),
            Option(
                "install.metaData", .freeTable, computed: "`{}`", example: .table([:]),
                summary: "The module's meta-data, which becomes JSON"),
            Option(
                "install.timeout", .duration(1...(7 * day)), "30min",
                summary: "The time limit of each state of the module"),
            Option(
                "install.timeouts", .durationTable(1...(7 * day), keys: moduleStates), computed: "`{}`",
                example: .table(["ArtifactInstall": "1h"]),
                summary: "Other time limits, by the name of the module's state"),
            Option(
                "install.network", .flag, false,
                summary: "The module gets the device's network",
                description: """
                    The installer and its modules have no network. A module that needs one, such as Mender's `docker`, gets it with \
                    this option, or with an empty file NAME.network next to the module.
                    """),
            Option(
                "install.attempts", .integer(1...100), 3,
                summary: "A version is blocked after this many failures",
                description: """
                    It stays blocked until the server offers a newer one, or `upgradelinkctl retry` resets the counts. The installer \
                    keeps its own count of failed installations and reboots, in `attempts.json`. It refuses a version after \
                    `install.attempts` failed installations, or after three reboots into this version, even if the agent has lost its \
                    state. A repeated installation of a version that is not above the highest committed one counts like a failed one.

                    `upgradelinkctl retry` resets the agent's count and both counts of the installer: for each version three times, \
                    and without a limit if root runs it.
                    """),
            Option(
                "install.retryDelay", .duration(0.1...(7 * day)), "10min",
                summary: "The time before the second attempt; it doubles with each failure"),
        ]
    }
}
