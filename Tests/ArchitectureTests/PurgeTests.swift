import Host
import TestSupport
import Testing

/// The script of the package that runs when the package is purged.
@Suite struct PurgeTests {
    @Test @MainActor func aPurgeRemovesTheCredentialsAndNothingElse() async throws {
        let root = try Scratch()
        for file in [
            "etc/credstore/upgradelinkd.accessKey", "etc/credstore/upgradelinkd.secretKey",
            "etc/credstore.encrypted/upgradelinkd.accessKey", "etc/credstore.encrypted/upgradelinkd.secretKey",
            "etc/upgradelinkd/upgradelinkd.toml", "var/lib/upgradelinkd/state.json",
        ] {
            try root.write(file, "x")
        }
        for other in ["upgradelinkd.secretKey2", "other.secretKey"] { try root.write("etc/credstore/\(other)", "x") }
        // The script works below the scratch directory, and its users and groups do not exist.
        for name in ["getent", "userdel", "groupdel"] {
            try root.write("bin/\(name)", "#!/bin/sh\nexit 2\n", mode: 0o755)
        }
        let script = String(
            decoding: try Files.read("\(repositoryDirectory)/packaging/debian/postrm", limit: 65_536), as: UTF8.self)
        let changed = script.replacing(" /etc/", with: " \(root.path)/etc/").replacing(
            " /var/", with: " \(root.path)/var/")
        try root.write("postrm", changed)
        for (action, left) in [("remove", true), ("purge", false), ("purge", false)] {
            let command = "PATH=\(root.path)/bin:$PATH exec sh \(root.path)/postrm \(action)"
            let end = await Program("/bin/sh", ["-c", command], streams: .captured, timeLimit: 20).run().end
            #expect(end == .exited(0))
            #expect(root.exists("etc/credstore/upgradelinkd.secretKey") == left)
            #expect(root.exists("etc/upgradelinkd") == left && root.exists("var/lib/upgradelinkd") == left)
        }
        #expect(
            try Files.list("\(root.path)/etc/credstore") == ["other.secretKey", "upgradelinkd.secretKey2"]
                && Files.list("\(root.path)/etc/credstore.encrypted") == [])
    }
}
