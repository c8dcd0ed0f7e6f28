import Glibc
import Host
import Simulator
import Subprocess
import TestSupport
import Testing

/// `upgradelinkctl verify` with signatures of the real minisign. It needs no agent.
@Suite struct VerifyTests {
    private let device: AgentDevice
    private var scratch: Scratch { device.scratch }
    private var file: String { "\(device.scratch.path)/files/v2" }

    init() async throws {
        device = try await AgentDevice()
        chmod(device.scratch.path, 0o755)
        _ = try await device.publish(2)
        try device.configure(server: "http://127.0.0.1:1")
    }

    private func verify(_ arguments: String..., user: Int = 0) async throws -> ControlRun {
        try await ControlRun.of(["verify", "--root", scratch.path] + arguments, bus: "", user: user)
    }

    /// What `verify --json` prints.
    private struct Answer: Decodable {
        var verified: Bool
        var accepted: Bool?
        var keyID: String?
        var keyFile: String?
        var trustedComment: String?
        var versionCode: Int?
        var urlKey: String?
        var devModelKey: String?
        var minVersionCode: Int?
        var notes: [String]?
        var reason: String?
    }

    private func answer(_ arguments: String...) async throws -> Answer {
        let run = try await ControlRun.of(["verify", "--root", scratch.path, "--json"] + arguments, bus: "")
        let answer = try JSONLine.decode(Answer.self, from: Array(run.output.utf8))
        #expect(run.status == .exited(answer.verified ? 0 : 1), "\(run)")
        #expect(run.error.isEmpty == answer.verified)
        return answer
    }

    /// minisign's own output has the key ID.
    private func keyID() throws -> String {
        let text = String(decoding: try Files.read("\(device.publisher.directory)/key.pub", limit: 4096), as: UTF8.self)
        return String(try #require(text.firstMatch(of: #/minisign public key ([0-9A-F]+)/#)).1)
    }

    @Test func aGoodSignatureIsExplained() async throws {
        let run = try await verify(file)
        #expect(run.status == .exited(0) && run.error.isEmpty, "\(run)")
        for line in [
            "Verified:     yes, \(file), ",
            "Key:          \(try keyID()), \(scratch.path)/etc/upgradelinkd/upgradelinkd.toml",
            "Comment:      urlKey=device versionCode=2", "Version:      code 2", "urlKey:       device",
            "devModelKey:  not named", "This device:  would install it",
        ] {
            #expect(run.output.contains(line), "\(line) in \(run.output)")
        }
        let id = try keyID()
        let json = try await answer(file)
        #expect(json.verified && json.accepted == true && json.keyID == id && json.versionCode == 2)
        #expect(json.urlKey == "device" && json.devModelKey == nil && json.minVersionCode == nil)
        let short = try await verify("--json=short", file)
        #expect(
            short.output.split(separator: "\n").count == 1 && short.output.contains("\"devModelKey\":null"), "\(short)")
    }

    @Test func theKeyFileOfADirectoryIsNamed() async throws {
        try scratch.write("files/vendor.pub", "untrusted comment: vendor\n\(device.publisher.publicKey)\n", mode: 0o644)
        try device.configure(server: "http://127.0.0.1:1", changes: "[verification]\nkeys = []")
        #expect(try await answer(file).keyFile == "\(scratch.path)/files/vendor.pub")
    }

    @Test func whatIsNotVerifiedHasAReason() async throws {
        let other = try await Publisher(directory: "\(scratch.path)/other")
        func sign(_ comment: String, by publisher: Publisher? = nil) async throws {
            try await (publisher ?? device.publisher).sign(file, comment: comment)
        }
        try await sign("urlKey=device versionCode=2", by: other)
        #expect(try await answer(file).reason?.contains("which is not among the trusted keys") == true)
        try await sign("urlKey=another versionCode=2")
        #expect(try await answer(file).reason == "it was signed for urlKey another, and device is wanted")
        try await sign("urlKey=device versionCode=2 devModelKey=m7")
        #expect(try await answer(file).reason == "it was signed for devModelKey m7, and none is wanted")
        try await sign("timestamp:1700000000\tfile:v2\thashed")
        #expect(
            try await answer(file).reason?.hasPrefix("its trusted comment does not say which version it signs") == true)
        try await device.publisher.sign(file, comment: "urlKey=device versionCode=2", legacy: true)
        #expect(try await answer(file).reason?.contains("legacy form") == true)
        try await sign("urlKey=device versionCode=2")
        let sidecar = try scratch.read("files/v2.minisig")
        try scratch.write("files/v2.minisig", sidecar.replacing("versionCode=2", with: "versionCode=3"))
        #expect(try await answer(file).reason == "the signature of its trusted comment is wrong")
        try scratch.write("files/v2.minisig", sidecar)
        try scratch.write("files/v2", "something else")
        #expect(try await answer(file).reason == "its content is not what was signed")
        try scratch.write("files/v2.minisig", "garbage")
        #expect(try await answer(file).reason?.contains("its signature file makes no sense") == true)
        unlink("\(file).minisig")
        #expect(try await answer(file).reason?.contains("v2.minisig: No such file") == true)
    }

    @Test func theSignatureMayBeElsewhere() async throws {
        rename("\(file).minisig", "\(scratch.path)/signature")
        #expect(try await verify(file).status == .exited(1))
        #expect(try await verify(file, "--signature", "\(scratch.path)/signature").status == .exited(0))
    }

    @Test func filesOfOtherKindsAreRefused() async throws {
        mkfifo("\(scratch.path)/fifo", 0o600)
        for path in ["\(scratch.path)/files", "\(scratch.path)/fifo", "/nonexistent", "/dev/zero"] {
            let run = try await verify(path)
            #expect(run.status == .exited(66) && run.error.split(separator: "\n").count == 1, "\(run)")
        }
        mkdir("\(file).d", 0o700)
        #expect(try await verify(file, "--signature", "\(file).d").status == .exited(1))
    }

    @Test func theDeviceMayRefuseAVerifiedFile() async throws {
        try scratch.write("live.versions/initial/version", "VERSION=v3\nVERSION_CODE=3\n")
        let older = try await answer(file)
        #expect(older.verified && older.accepted == false)
        #expect(older.notes?.first?.contains("2 is not above the installed 3") == true, "\(older)")
        try device.configure(server: "http://127.0.0.1:1", changes: "[device]\nappointVersionCode = 2")
        #expect(try await answer(file).accepted == true)
        try scratch.write("live.versions/initial/version", "VERSION=v1\nVERSION_CODE=1\n")
        try device.configure(server: "http://127.0.0.1:1", changes: "[device]\nappointVersionCode = 1")
        #expect(
            try await answer(file).notes?.first?.contains("above 1, to which device.appointVersionCode pins") == true)
        try device.configure(server: "http://127.0.0.1:1")
        try scratch.write(
            "state/installer/floor.json", #"{"format":2,"floors":[{"urlKey":"device","versionCode":5}]}"#)
        #expect(try await answer(file).notes?.first?.contains("2 is below 5") == true)
        // A downgrade that the configuration wants, and a floor that cannot be read: here, a directory has its name.
        try device.configure(server: "http://127.0.0.1:1", changes: "[device]\nappointVersionCode = 2")
        #expect(try await answer(file).accepted == true)
        try device.configure(server: "http://127.0.0.1:1")
        try Files.remove("\(scratch.path)/state/installer/floor.json")
        try Files.createDirectory("\(scratch.path)/state/installer/floor.json")
        #expect(try await answer(file).notes?.first?.contains("the installer accepts is not known") == true)
        try Files.removeTree("\(scratch.path)/state/installer/floor.json")
        try scratch.write(
            "state/installer/floor.json", #"{"format":2,"floors":[{"urlKey":"another","versionCode":5}]}"#)
        #expect(try await answer(file).accepted == true)
    }

    @Test func aCommentCannotCommandTheTerminal() async throws {
        let comment = "urlKey=device versionCode=2 \u{1B}]0;owned\u{7}\u{202E}end"
        try await device.publisher.sign(file, comment: comment)
        let run = try await verify(file)
        #expect(run.status == .exited(0) && run.output.contains("versionCode=2 "), "\(run)")
        #expect(!run.output.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" || $0.value == 0x202E })
        let json = try await verify("--json", file)
        #expect(!json.output.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" || $0.value == 0x202E })
        #expect(try await answer(file).trustedComment == comment)
    }

    /// A publisher has no configuration, and a user may not be allowed to read it.
    @Test(.enabled(if: getuid() == 0, "other users need root")) func rightsAndPublicKeys() async throws {
        chmod("\(scratch.path)/etc/upgradelinkd/upgradelinkd.toml", 0o640)
        for path in [
            "files", "files/v2", "files/v2.minisig", "publisher", "publisher/key.pub", "etc", "etc/upgradelinkd",
        ] {
            chmod("\(scratch.path)/\(path)", path.contains("v2") || path.hasSuffix("pub") ? 0o644 : 0o755)
        }
        let denied = try await verify(file, user: 65534)
        #expect(denied.status == .exited(77) && denied.error.hasPrefix("needs root: \(scratch.path)/etc/"), "\(denied)")
        // What is wrong in a file that this user can read is wrong for root, too.
        try scratch.write("etc/upgradelinkd/upgradelinkd.toml.d/test.toml", "[poll]\ninterval = 0", mode: 0o644)
        chmod("\(scratch.path)/etc/upgradelinkd/upgradelinkd.toml.d", 0o755)
        let both = try await verify(file, user: 65534)
        #expect(both.status == .exited(77) && both.error.contains("poll.interval: found the number 0"), "\(both)")
        try scratch.write("etc/upgradelinkd/upgradelinkd.toml.d/test.toml", "")
        let key = "\(device.publisher.directory)/key.pub"
        let publisher = try await verify("--public-key", key, file, user: 65534)
        #expect(publisher.status == .exited(0) && publisher.output.contains("This device:  unknown"), "\(publisher)")
        let empty = try Scratch()
        let none = try await ControlRun.of(
            ["verify", "--root", empty.path, "--public-key", key, file], bus: "")
        #expect(none.status == .exited(0), "\(none)")
        let wrong = try await verify("--public-key", "\(file).minisig", file)
        #expect(wrong.status == .exited(66) && wrong.error.contains("is not a minisign public key"), "\(wrong)")
        try device.configure(server: "http://127.0.0.1:1", changes: "x = 1")
        #expect(try await verify(file).status == .exited(78))
    }
}
