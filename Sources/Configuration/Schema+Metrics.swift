extension Schema {
    static let metrics = Section(
        "metrics", summary: "Metrics for Prometheus",
        options: [
            Option(
                "metrics.file", .pathEnding(".prom"), example: "/run/upgradelinkd-metrics/upgradelinkd.prom",
                summary: "A file with metrics, for the textfile collector of Prometheus's node_exporter",
                description: """
                    Without this option there are no metrics. The name ends with .prom, and every user can read the file. The agent \
                    replaces it when a value has changed, at most every 10 s. The agent can write to `/run/upgradelinkd-metrics`, \
                    which is lost at a shutdown; a symbolic link in the collector's directory leads to the file. Another directory \
                    must be writable for the user upgradelinkd, and for the service: `systemctl edit upgradelinkd`, ReadWritePaths=. \
                    If the file cannot be written, the agent logs one warning and works as before.
                    """)
        ])
}
