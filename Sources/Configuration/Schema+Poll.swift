extension Schema {
    static let day = 86_400.0

    static let poll = Section(
        "poll", summary: "When the agent checks for updates",
        options: [
            Option(
                "poll.interval", .duration(1...(90 * day)), "6h",
                summary: "The time between two update checks, ± 10 %"),
            Option(
                "poll.splay", .duration(0...(7 * day)), "6h",
                summary: "The first update check after a boot is at a random time within this span",
                description: """
                    Devices that boot together do not poll together. It is within 30 min if the server has never responded, or has \
                    not responded during the two previous boots. The result of an update is reported within this span too, and \
                    within two hours at the latest.
                    """),
            Option(
                "poll.backOffBase", .duration(0.1...day), "15min",
                summary: "The delay of the next update check after a first transient error",
                description: """
                    After a transient error, update checks follow an exponential back-off with jitter, from `poll.backOffBase` to \
                    `poll.backOffCap`, which must not be shorter. If the server throttles the device (HTTP 429), the next update \
                    check is at a random time within one `poll.interval`. For errors that only this device can fix, such as a full \
                    disk, the back-off starts at one minute and ends at one hour, or at the configured values if they are lower.
                    """),
            Option(
                "poll.backOffCap", .duration(1...(7 * day)), "6h",
                summary: "The longest delay of the back-off",
                description: """
                    For downloads the back-off starts at one minute. It ends at `poll.backOffCap` if the host of the file does not \
                    respond, and at four times `poll.backOffCap` (one day) if it responds with something else than the file.
                    """),
        ])
}
