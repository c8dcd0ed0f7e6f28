extension Schema {
    static let device = Section(
        "device", summary: "The application, the identity of this device and the installed version",
        description: """
            Required are `device.urlKey` and one of `device.versionFile` and `device.versionCode`.
            """,
        options: [
            Option(
                "device.urlKey", .line, computed: "none; it is required", example: "…",
                summary: "The application's key on the server"),
            Option(
                "device.devModelKey", .line, example: "…",
                summary: "The model of this device, if the server distinguishes models"),
            Option(
                "device.devKey", .line, computed: "derived from a MAC address", example: "…",
                summary: "The identity of this device",
                description: """
                    Without this option, the agent derives it from the permanent MAC address of `device.interface`, or of the \
                    first physical Ethernet interface, or of the first Wi-Fi interface. The agent stores the address and uses it \
                    from then on.
                    """),
            Option(
                "device.interface", .text, computed: "the first physical Ethernet interface, else the first of Wi-Fi",
                example: "eth0",
                summary: "The network interface whose MAC address identifies this device"),
            Option(
                "device.devKeyFormat", .choice(DevKeyFormat.allCases.map(\.rawValue)), "hex",
                summary: "The form of a devKey that is derived from a MAC address",
                description: """
                    - `"hex"`: 001122aabbcc
                    - `"upperHex"`: 001122AABBCC
                    - `"colons"`: 00:11:22:aa:bb:cc
                    - `"upperColons"`: 00:11:22:AA:BB:CC
                    - `"sha256"`: the SHA-256 digest of `device.devKeySalt` and the hex form, in hex
                    """),
            Option(
                "device.devKeySalt", .text, example: "…", isSecret: true,
                summary: "The salt of `device.devKeyFormat` = `\"sha256\"`, which requires it"),
            Option(
                "device.appointVersionCode", .integer(0...Int.max), 0,
                summary:
                    "Pins this device to a version, which may be older than the installed one; 0 is the latest version",
                description: """
                    It may also be below the installer's floor: the highest version that was committed on this device, or the \
                    minVersionCode that the signature of a committed one required. The floor stays as it is. The agent and the \
                    installer refuse versions above the pinned one.
                    """),
            Option(
                "device.versionFile", .path, example: "/etc/os-release",
                summary: "A file with KEY=value lines that name the installed version, read before each update check",
                description: """
                    The agent's user must be able to read the file; the agent cannot see `/home`, `/root` and `/run/user`. It must \
                    be a regular file of at most 64 KiB; with anything else, the version is unknown.
                    """),
            Option(
                "device.versionCodeKey", .text, "VERSION_CODE",
                summary: "The KEY of the line in `device.versionFile` that has the version as a number"),
            Option(
                "device.versionNameKey", .text, computed: "`VERSION`, else `VERSION_ID`", example: "VERSION",
                summary: "The KEY of the line in `device.versionFile` that has the name of the version",
                description: "If the file has no such line, the name is that of VERSION_ID, or there is none."),
            Option(
                "device.versionCode", .integer(1...Int.max), example: 1,
                summary: "The installed version as a number, instead of `device.versionFile`"),
            Option(
                "device.versionName", .text, example: "1.0",
                summary: "The name of the installed version, next to `device.versionCode`"),
        ])
}
