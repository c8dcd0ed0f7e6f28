import UpdateCore

extension Schema {
    static let download = Section(
        "download", summary: "Downloads: their limits and their priority",
        options: [
            Option(
                "download.directory", .path, computed: "`/var/cache/upgradelinkd`",
                example: "/var/cache/upgradelinkd",
                summary: "The directory of downloaded files",
                description: """
                    The user upgradelinkd must own it, and the agent must be able to write there; see `state.directory`. Without \
                    this option it is the cache directory that systemd passes to the agent (CacheDirectory=, systemd.exec(5)). \
                    After a change, the files in the old directory are not removed.
                    """),
            Option(
                "download.speedLimit", .size(0...ByteCount.max), 0, unit: "bytes per second",
                summary: "The highest speed of a download in bytes per second; 0 is no limit",
                description: "`upgradelinkctl limit` replaces it until the agent restarts, also for a running download."
            ),
            Option(
                "download.sizeLimit", .size(1...ByteCount.max), "8G",
                summary: "The maximum size of an artifact"),
            Option(
                "download.keepFree", .size(0...ByteCount.max), "64M",
                summary: "The disk space that must stay free",
                description: """
                    The installer keeps as much free where it copies the artifact to, in `state.installerDirectory`.
                    """),
            Option(
                "download.lowSpeed", .size(0...ByteCount.max), "1K", unit: "bytes per second",
                summary: "A download that is slower than this for `download.lowSpeedTime` ends its connection",
                description: "The download resumes later."),
            Option(
                "download.lowSpeedTime", .duration(1...3600), "60s",
                summary: "How long a download may be slower than `download.lowSpeed`"),
            Option(
                "download.timeout", .duration(60...(30 * day)), "1d",
                summary: "The time limit of one download process; the next one resumes the download"),
            Option(
                "download.beforeConsent", .flag, true,
                summary: "Download a prompt version before the agent requests consent"),
            Option(
                "download.ioClass", .choice(DownloadPriority.IOClass.allCases.map(\.rawValue)), "idle",
                summary: "The class of a download's disk access, see ioprio_set(2)",
                description: """
                    - `"idle"`: a download uses the disk only while no other process does
                    - `"best-effort"`: as other processes
                    """),
            Option(
                "download.nice", .integer(0...19), 10,
                summary: "The nice value of a download"),
            Option(
                "download.flushEvery", .size(0...(1 << 30)), "4M",
                summary: "A download writes to the disk after this many bytes; 0 leaves this to the kernel"),
            Option(
                "download.keepCache", .size(0...ByteCount.max), computed: "a quarter of the memory", example: "64M",
                summary: "So much of a downloaded file stays in the page cache, for the installer that reads it next",
                description: """
                    The rest is dropped, and the installer reads it without the page cache, because it would displace the data of \
                    other programs. The memory is that of the device, or what the control group of the service may use \
                    (MemoryMax=, 256 MB for the agent) if that is less.
                    """),
        ])
}
