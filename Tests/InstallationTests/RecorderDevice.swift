import TestSupport

/// A device whose module records how it is called.
struct RecorderDevice {
    let device: InstallerDevice

    init(_ row: ProtocolTests.Row, timeouts: String = "{}") async throws {
        device = try await InstallerDevice(
            install: """
                module = "recorder"
                moduleDirectories = ["@ROOT@/modules"]
                fileName = "payload"
                files = { extra = "small" }
                metaData = { value = 42 }
                timeouts = \(timeouts)
                rebootCommand = ["/bin/sh", "-c", "echo SystemReboot >>@ROOT@/control/log"]
                """)
        let scratch = device.scratch
        try scratch.write("artifact-file", "new content\n")
        try scratch.write("control/NeedsArtifactReboot", row.reboot.isEmpty ? "" : row.reboot + "\n")
        try scratch.write("control/SupportsRollback", row.rollback.isEmpty ? "" : row.rollback + "\n")
        try scratch.write("control/new-version", "VERSION_CODE=\(row.version)\n")
        for state in (row.fails ?? "").split(separator: " ") { try scratch.write("control/fail-\(state)", "") }
        for state in (row.killed ?? "").split(separator: " ") { try scratch.write("control/kill-\(state)", "") }
        try scratch.write("modules/recorder", Self.script.replacing("@ROOT@", with: scratch.path), mode: 0o755)
    }

    private static let script = """
        #!/bin/sh
        control=@ROOT@/control
        case "$1" in
            NeedsArtifactReboot | SupportsRollback) cat "$control/$1"; exit ;;
            *Artifact* | Download | Cleanup) ;;
            *) exit 0 ;;
        esac
        echo $PPID >"$control/installer"
        echo "$1" >>"$control/log"
        echo "saying $1"
        echo "shouting $1" >&2
        [ ! -e "$control/hang-$1" ] || sleep 100
        while [ -e "$control/wait-$1" ]; do sleep 0.1; done
        env >"$control/environment"
        if [ -e "$control/kill-$1" ]; then rm "$control/kill-$1"; kill -9 $PPID; exit 0; fi
        [ ! -e "$control/fail-$1" ] || exit 1
        case "$1" in
            ArtifactInstall)
                cp "$control/new-version" @ROOT@/version
                stat -c '%i %u %a %h' files/payload >"$control/payload"
                {
                    find . -type f | while read -r file; do printf '%s ' "$file"; cat "$file"; echo; done
                    [ -d tmp ] && [ -z "$(ls tmp)" ] && echo "tmp is empty"
                    echo "called with $1 $2 in $PWD"
                } >"$control/tree"
                ;;
            ArtifactRollback) echo VERSION_CODE=1 >@ROOT@/version ;;
        esac
        """
}
