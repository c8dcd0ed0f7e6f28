extension Schema {
    static let server = Section(
        "server", summary: "The server and the connection to it",
        options: [
            Option(
                "server.url", .url, "https://api.upgrade.toolsetlink.com",
                summary: "The address of the server"),
            Option(
                "server.signingPath", .path, computed: "the path in the URL", example: "/v1/url/upgrade",
                summary: "The path of the update check as the server sees it, if a reverse proxy changes the path"),
            Option(
                "server.caBundle", .path, computed: "the certificates of the system",
                example: "/etc/ssl/certs/ca-certificates.crt",
                summary: "A file in PEM format with the certificate authorities that are trusted"),
            Option(
                "server.clientCertificate", .path, example: "/etc/upgradelinkd/client.crt",
                summary: "A file in PEM format with the certificate of this device",
                description: "It is set together with `server.clientKey`."),
            Option(
                "server.clientKey", .path, example: "/etc/upgradelinkd/client.key",
                summary: "A file in PEM format with the private key of this device",
                description: """
                    It is set together with `server.clientCertificate`. The agent warns at its start if other users can read \
                    the file.
                    """),
            Option(
                "server.proxy", .proxy, computed: "the environment variables of curl(1), such as `https_proxy`",
                example: "http://proxy.example:3128",
                summary: "The URL of a proxy, such as `http://user:password@proxy.example:3128`",
                description: """
                    Its scheme is http, https, socks4, socks4a, socks5 or socks5h. A text without a scheme is an error. In the \
                    user and the password, some characters are percent-encoded: @ is written `%40`, : `%3A`, / `%2F`, ? `%3F`, \
                    # `%23` and % `%25`, as in `user:p%40ss@proxy.example`.

                    The password is a secret: status, journal, reports and `upgradelinkctl config` show *** instead of the \
                    user and the password.
                    """),
            Option(
                "server.connectTimeout", .duration(0.1...600), "30s",
                summary: "The time limit for a connection to the server"),
            Option(
                "server.requestTimeout", .duration(0.1...3600), "60s",
                summary: "The time limit for a request and its response"),
        ])
}
