import UpdateCore

extension Schema {
    static let verification = Section(
        "verification", summary: "The verification of downloaded files",
        options: [
            Option(
                "verification.mode", .choice(VerificationPolicy.Mode.allCases.map(\.rawValue)), "minisign",
                summary: "How a file is verified",
                description: """
                    - `"minisign"`: a signature of one of the keys
                    - `"sha256"`: a digest next to the file; this relies on HTTPS alone
                    - `"none"`: not at all; this relies on HTTPS alone
                    """),
            Option(
                "verification.keys", .texts(), computed: "`[]`", example: .list(["RWQ…"]),
                summary: "minisign public keys of publishers",
                description: "The keys in `verification.keysDirectory` count too. Nothing is installed without a key."),
            Option(
                "verification.keysDirectory", .path, computed: "`/etc/upgradelinkd/keys.d`",
                example: "/etc/upgradelinkd/keys.d",
                summary: "A directory of further minisign public keys, in *.pub files"),
            Option(
                "verification.signatureUrl", .text,
                computed: "`{url}.minisig`, or `{url}.sha256` in the mode `\"sha256\"`",
                example: "https://signatures.example/{versionCode}.minisig",
                summary: "The address of the signature or digest file",
                description: """
                    `{url}` is the address of the artifact without its query and fragment; if the template has no query of its \
                    own, the query follows at the end. `{path}` and `{query}` are parts of that address, `{versionCode}` and \
                    `{versionName}` belong to the offered version.
                    """),
            Option(
                "verification.requireVersionCode", .flag, true,
                summary: "Refuse a signature whose trusted comment does not contain `versionCode=`"),
        ])
}
