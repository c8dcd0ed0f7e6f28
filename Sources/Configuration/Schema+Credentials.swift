extension Schema {
    static let credentials = Section(
        "credentials", summary: "The two keys with which this device signs its requests to the server",
        description: """
            Set the keys in a configuration file only if other users cannot read it. Otherwise put each key into a file of its \
            own, or into `/etc/credstore/upgradelinkd.accessKey` and `/etc/credstore/upgradelinkd.secretKey`, which only root \
            needs to read: if no option sets a key, systemd passes it to the agent from there (systemd.exec(5), \
            LoadCredential=). systemd reads these two files when it starts the agent, so a change there needs a restart.

            If other users can read a file with a secret, the agent warns at its start, and `upgradelinkd --check-config` \
            prints the warning: a file with `credentials.secretKey`, `device.devKeySalt`, or a URL with a user or a password; \
            the file `credentials.secretKeyFile`; and the file `server.clientKey`.
            """,
        options: [
            Option(
                "credentials.accessKey", .line, computed: "the file of systemd, see above", example: "…",
                summary: "The access key",
                description: """
                    A key with a line break, another control character or an invisible character is an error.
                    """),
            Option(
                "credentials.secretKey", .line, computed: "the file of systemd, see above", example: "…",
                isSecret: true,
                summary: "The secret key, in a file that only root and the group upgradelinkd can read",
                description: """
                    A key with a line break, another control character or an invisible character is an error.
                    """),
            Option(
                "credentials.accessKeyFile", .path, example: "/etc/upgradelinkd/access-key",
                summary: "A file that contains the access key, alone on one line",
                description: "It is an error to set it together with `credentials.accessKey`."),
            Option(
                "credentials.secretKeyFile", .path, example: "/etc/upgradelinkd/secret-key",
                summary: "A file that contains the secret key, alone on one line",
                description: "It is an error to set it together with `credentials.secretKey`."),
        ])
}
