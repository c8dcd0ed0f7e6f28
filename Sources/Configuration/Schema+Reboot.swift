import UpdateCore

extension Schema {
    /// What follows an installation, of the section `install`.
    static var rebootOptions: [Option] {
        [
            Option(
                "install.reboot", .choice(RebootPolicy.allCases.map(\.rawValue)), "immediate",
                summary: "When the device reboots if the module needs it",
                description: """
                    - `"immediate"`: after the installation
                    - `"window"`: in a maintenance window
                    - `"ask"`: after the user's consent
                    """),
            Option(
                "install.rebootCommand", .texts(.command(mayBeEmpty: false)),
                .list(["/usr/bin/systemctl", "reboot", "--check-inhibitors=no"]),
                summary: "The command that reboots the device: an absolute path and its arguments",
                description: """
                    Before it runs, the installer asks logind for inhibitors with the mode block that contain shutdown, and waits for \
                    their end. Users who are logged in do not delay a reboot: `--check-inhibitors=no` keeps systemctl from asking \
                    about both again.
                    """),
            Option(
                "install.rebootTimeout", .duration(1...day), "5min",
                summary: "A reboot that has not come this long after it was requested is requested again later",
                description: "The status says so. The intervals between the requests grow."),
            Option(
                "install.restartUnits", .texts(.units), .list([]), example: .list(["player.service"]),
                isCumulative: true,
                summary: "Units that use what the module replaces, such as the application",
                description: """
                    They are restarted with `systemctl daemon-reload` and `systemctl restart` after the installation, unless the \
                    device reboots anyway, and after a rollback. A unit that has failed too often is reset before. The health check \
                    includes these units.
                    """),
        ]
    }

    /// The health check, of the section `install`. Before an update is committed, the device must be healthy.
    static var healthOptions: [Option] {
        [
            Option(
                "install.healthProgram", .texts(.command(mayBeEmpty: true)), .list([]),
                example: .list(["/usr/local/bin/check-player", "--quick"]),
                summary: "A program with its arguments that must exit with 0 before an update is committed",
                description: """
                    Otherwise the update is rolled back. The installer repeats the check until it succeeds or \
                    `install.healthTimeout` ends. The program runs as root in the network of the device, with `/` as working \
                    directory and without standard input.
                    """),
            Option(
                "install.healthUnits", .texts(.units), .list([]), example: .list(["player.service"]),
                isCumulative: true,
                summary: "Units that must be active before an update is committed",
                description: """
                    Each must have been active for `install.healthSettle` without a restart, within `install.healthTimeout`; otherwise \
                    the update is rolled back. The packaged vendor file has `upgradelinkd.service` in this list, so that a version \
                    that breaks the agent itself is rolled back.
                    """),
            Option(
                "install.healthSettle", .duration(0...3600), "10s",
                summary: "How long each unit of the health check must have been active without a restart",
                description: """
                    It must be shorter than `install.healthTimeout`. If only that is set, the default is half of it if that is less.
                    """),
            Option(
                "install.healthTimeout", .duration(1...day), "5min",
                summary: "The time limit of the health check, after which the update is rolled back"),
        ]
    }
}
