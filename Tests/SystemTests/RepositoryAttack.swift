import Host
import Simulator
import TestSupport

/// What an attacker who controls the web server or the network can serve instead of the repository.
enum Attack: String, CaseIterable {
    /// A package with other bytes and the same length.
    case package
    /// Indices, by name and by hash, that name another version.
    case index
    /// No signature.
    case unsigned
    /// An InRelease without the lines that make it signed.
    case stripped
    /// A valid signature of another key.
    case otherKey
    /// A changed text under the signature.
    case altered

    /// apt's words: Debian 12 verifies with gpgv, Debian 13 with sqv.
    func isReported(_ output: String) -> Bool {
        switch self {
        case .package, .index: output.contains("Hash Sum mismatch") || output.contains("unexpected size")
        case .unsigned, .stripped: output.contains("is not signed") || output.contains("Clearsigned file isn't valid")
        case .otherKey: output.contains("NO_PUBKEY") || output.contains("Missing key")
        case .altered: output.contains("BADSIG") || output.contains("has been manipulated")
        }
    }

    /// Makes directories below www: `release`, as it is, and one for each attack.
    static func prepare(_ fixture: ReleaseFixture, _ suite: Suite) async throws {
        let www = "\(fixture.scratch.path)/www"
        try Files.createDirectory(www)
        try await execute("cp", ["-a", fixture.repository, "\(www)/release"])
        for attack in allCases {
            try await execute("cp", ["-a", fixture.repository, "\(www)/\(attack)"])
            if attack == .otherKey {
                try await sign(fixture, "\(www)/\(attack)")
            } else {
                try await execute(
                    "sh", ["-ec", attack.change, "sh", suite.rawValue, fixture.architecture], in: "\(www)/\(attack)")
            }
        }
    }

    private var change: String {
        switch self {
        case .package: "printf xxxx | dd of=$(echo pool/$1/upgradelinkd/*) bs=1 seek=100000 conv=notrunc status=none"
        case .index:
            """
            cd dists/$1/main/binary-$2
            sed 's/^Version: .*/Version: 99.0/' Packages >changed
            xz --keep changed
            for file in by-hash/SHA256/*; do
                if cmp -s $file Packages; then cp --remove-destination changed $file
                else cp --remove-destination changed.xz $file; fi
            done
            mv changed Packages
            mv changed.xz Packages.xz
            """
        case .unsigned: "cd dists/$1; rm InRelease Release.gpg"
        case .stripped: "cd dists/$1; cp Release InRelease; rm Release.gpg"
        case .altered: "cd dists/$1; sed -i 's/^Label: .*/Label: changed/' InRelease Release"
        case .otherKey: "true"
        }
    }

    /// The same packages in a repository of another key.
    private static func sign(_ fixture: ReleaseFixture, _ directory: String) async throws {
        let key = "\(fixture.scratch.path)/other.key"
        try await fixture.makeRepositoryKey(key)
        let script = "\(fixture.checkout)/packaging/apt-repository.sh"
        let line = "rm -r \(directory)/*; exec \(script) \(directory) \(fixture.packages)/*.deb"
        let result = try await fixture.script("/bin/sh", ["-ec", line], ["APT_KEY=\(key)"])
        guard result.isSuccess else { throw Machine.Failure(description: result.output) }
    }
}
