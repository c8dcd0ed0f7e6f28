import UpdateCore

extension Schema {
    /// When a version may be installed, of the section `install`.
    static var windowOptions: [Option] {
        [
            Option(
                "install.windows", .texts(.windows), .list([]),
                example: .list(["Mon-Fri 02:00-05:00", "Sat,Sun 23:00-06:00", "03:30-04:30"]),
                summary: "Weekly maintenance windows in local time",
                description: """
                    They are for silent versions and for versions accepted for the next window (`upgradelinkctl accept --tonight`). \
                    Without windows, these versions are installed at any time.
                    """),
            Option(
                "install.windowLimit", .duration(0...(365 * day)), "3d",
                summary:
                    "A version that has waited this long for a window, and has missed at least one, is overdue; 0 is never",
                description: """
                    The device may be switched off at night. A window that is still to come has not been missed. \
                    `install.missedWindows` says what happens to an overdue version. The same applies to a reboot that waits for a \
                    window (`install.reboot` = `"window"`). Only a device that knows the time can notice it; after a boot, its clock \
                    counts after a response of the server, or 10 minutes.
                    """),
            Option(
                "install.missedWindows", .choice(MissedWindows.allCases.map(\.rawValue)), "idle",
                summary: "What happens to an overdue version",
                description: """
                    Status and doctor say in each case that windows are being missed. A window that opens is used in each case.

                    - `"idle"`: It is installed as soon as the device has not been used for `install.idleTime`.
                    - `"boot"`: It is installed right after the next boot after this was noticed, if it has been downloaded and the \
                    agent starts within 5 minutes of the boot. Units that are ordered after `upgradelink-boot.service` start later; \
                    enable that unit. They do not wait for a reboot that is delayed by consent or an inhibitor.
                    - `"ask"`: Consent is requested as for a prompt version, and it can be deferred, but not rejected. An acceptance \
                    for now installs it at once. Without an answer it is installed in the next window, unless a deferral lasts.
                    - `"wait"`: It waits for a window.

                    Use is: a session that is active or does not report (systemd-logind, IdleHint), a block inhibitor of logind for \
                    shutdown or idle, an inhibitor of the agent, a command to the agent, the boot, and the end of standby. A \
                    graphical session reports with the method SetIdleHint; one that never does counts as active. A session on a \
                    terminal of the device counts as active. A user interface without a session must hold an inhibitor while it is \
                    used.
                    """),
            Option(
                "install.idleTime", .duration(1...day), "30min",
                summary: "The device is idle if it has not been used for this long, see `install.missedWindows`"),
            Option(
                "install.gracePeriod", .duration(0...day), "5min",
                summary: "The time from the announcement of a forced version to its installation",
                description: """
                    The time that passes while the device is off counts; after a boot, at least a minute is left (or \
                    `install.gracePeriod`, if that is shorter).
                    """),
            Option(
                "install.inhibitLimit", .duration(0...(30 * day)), "1h",
                summary: "The longest time for which an inhibitor delays a forced version, or the reboot of a rollback"),
            Option(
                "install.deferrals", .integer(0...1000), 3,
                summary: "How often a version can be deferred; after that, the agent requests consent every hour"),
        ]
    }
}
