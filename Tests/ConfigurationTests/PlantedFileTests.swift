import Configuration
import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

/// Files that the configuration consists of or names, with something else in their place: an error names it, without waiting.
@Suite(.timeLimit(.minutes(1))) struct PlantedConfigurationTests {
    private let root: Scratch

    init() throws {
        root = try Scratch()
        try root.write("keys/README", "")
        try root.write("usr/lib/upgradelinkd/upgradelinkd.toml.d/README", "")
        try root.write("etc/upgradelinkd/upgradelinkd.toml.d/README", "")
        try root.write("usr/lib/upgradelinkd/upgradelinkd.toml", "")
    }

    private func settings(_ more: String = "") throws -> Settings {
        let text = """
            [credentials]
            accessKey = "ak"
            secretKeyFile = "\(root.path)/secret"
            [device]
            urlKey = "device"
            devKey = "d"
            versionFile = "\(root.path)/version"
            [verification]
            keysDirectory = "\(root.path)/keys"

            """
        try root.write("etc/upgradelinkd/upgradelinkd.toml", text)
        return try Settings.load(root: root.path, environment: [:])
    }

    @Test(arguments: Planted.allCases) func theVersionFileIsUnknown(planted: Planted) throws {
        try planted.plant(at: "\(root.path)/version")
        guard case .unknown(let reason) = try settings().device.version.read() else {
            Issue.record("a version was read")
            return
        }
        #expect(reason.contains(planted.complaint) && reason.contains("device.versionFile"), "\(reason)")
    }

    @Test(
        arguments: [
            "keys/a.pub", "usr/lib/upgradelinkd/upgradelinkd.toml.d/a.toml",
            "etc/upgradelinkd/upgradelinkd.toml.d/a.toml",
        ], Planted.allCases)
    func aConfigurationFileIsAnError(name: String, planted: Planted) throws {
        // A configuration file that does not exist is none.
        guard planted != .danglingLink || name.hasSuffix(".pub") else { return }
        try planted.plant(at: "\(root.path)/\(name)")
        do {
            _ = try settings()
            Issue.record("it was read")
        } catch {
            #expect("\(error)".contains(planted.complaint) && "\(error)".contains(name), "\(error)")
        }
        // The installer finds its directory all the same.
        #expect(Settings.installerDirectory(ofUnreadableConfiguration: root.path).hasPrefix("/var/lib/"))
    }

    @Test(arguments: Planted.allCases) func aCredentialIsAnError(planted: Planted) throws {
        try planted.plant(at: "\(root.path)/secret")
        _ = try settings()
        do {
            _ = try Settings.loadWithCredentials(root: root.path, environment: [:])
            Issue.record("it was read")
        } catch {
            #expect("\(error)".contains(planted.complaint), "\(error)")
        }
    }
}
