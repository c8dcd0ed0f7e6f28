import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

/// The agent's side of the installer socket, with a shell in the place of the installer.
@Suite struct InstallerClientTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    /// A script whose standard input is the socket.
    private func shell(_ script: String) -> InstallerClient.Route {
        .program("/bin/sh", arguments: ["-c", "exec >&0; \(script)"])
    }

    private func job(_ artifact: String, sidecar: String? = nil) -> StagedInstallJob {
        StagedInstallJob(
            id: 4711, offer: Offer(file: "/f", urlKey: "k", versionCode: 2),
            artifact: Artifact(path: artifact, sidecarPath: sidecar, size: 3))
    }

    @Test func reportsComeInOrderAndTheResultLast() async {
        let route = shell(
            """
            read request
            echo '{"state":{"_0":"Download"}}'
            echo 'this is no report'
            echo '{"output":{"_0":"10 %"}}'
            echo '{"finished":{"_0":{"committed":{}}}}'
            """)
        let (reports, result) = await route.send(.resume(1), timeLimit: 20)
        #expect(reports == [.state("Download"), .output("10 %")])
        #expect(result == .committed)
    }

    @Test(arguments: [
        (InstallRequest.resume(7), #"{"resume":{"_0":7}}"#), (.reboot(7), #"{"restart":{"_0":7}}"#),
        (.cancel(7), #"{"cancel":{"_0":7}}"#),
        (.forgetAttempts(versionCode: 7), #"{"forgetAttempts":{"versionCode":7}}"#),
        (.space, #"{"space":{}}"#),
    ])
    func eachRequestHasItsMessage(request: InstallRequest, message: String) async throws {
        let route = shell("read -r request; printf '%s' \"$request\" > '\(scratch.path)/request'")
        _ = await route.send(request, timeLimit: 20)
        #expect(try scratch.read("request") == message)
    }

    @Test func aMissingFileIsLostAndNothingIsStarted() async throws {
        try scratch.write("artifact", "abc")
        let route = shell("touch '\(scratch.path)/started'")
        guard
            case .artifactLost(let reason) = await route.send(
                .install(job("\(scratch.path)/artifact", sidecar: "\(scratch.path)/none")), timeLimit: 20
            ).result
        else {
            Issue.record("the signature was not missed")
            return
        }
        #expect(reason.contains("its file is lost: ") && reason.contains("/none"))
        #expect(!scratch.exists("started"))
    }

    /// What the installer has taken over, the agent cannot open: the installer is asked all the same.
    @Test func aMissingArtifactIsTheInstallersBusiness() async throws {
        let route = shell(
            "read -r request; echo '{\"finished\":{\"_0\":{\"artifactLost\":{\"_0\":\"no file\"}}}}'")
        #expect(
            await route.send(.install(job("\(scratch.path)/none")), timeLimit: 20).result == .artifactLost("no file"))
        try Files.createDirectory("\(scratch.path)/directory")
        guard
            case .artifactLost(let reason) = await route.send(
                .install(job("\(scratch.path)/directory")), timeLimit: 20
            ).result
        else {
            Issue.record("a directory was sent")
            return
        }
        #expect(reason.contains("its file is lost: "))
    }

    @Test(arguments: [maximumSidecarBytes, maximumSidecarBytes + 1])
    func aSignatureIsSentUpToItsLimit(length: Int) async throws {
        try scratch.write("artifact", "abc")
        try scratch.write("sidecar", String(repeating: "s", count: length))
        let route = shell("read -r request; echo '{\"finished\":{\"_0\":{\"committed\":{}}}}'")
        let result = await route.send(
            .install(job("\(scratch.path)/artifact", sidecar: "\(scratch.path)/sidecar")), timeLimit: 20
        ).result
        #expect((result == .committed) == (length <= maximumSidecarBytes), "\(result)")
    }

    @Test func anInstallerWithoutAResultIsLost() async {
        guard case .lost(let reason) = await shell("exit 3").send(.resume(1), timeLimit: 20).result else {
            Issue.record("not lost")
            return
        }
        #expect(reason.contains("exit status 3") || reason.contains("3"), "\(reason)")
    }

    // MARK: the socket of the service manager

    private func reason(_ result: InstallResult) -> String? {
        if case .lost(let reason) = result { reason } else { nil }
    }

    @Test func withoutTheSocketTheInstallerIsLost() async {
        let result = await InstallerClient.Route.socket("\(scratch.path)/none").send(.resume(1), timeLimit: 20).result
        #expect(reason(result)?.contains("see systemctl status upgradelink-installer.socket") == true, "\(result)")
    }

    /// A socket that a listener serves with one connection.
    private func listen(_ serve: @escaping @Sendable (CInt) -> Void) throws -> InstallerClient.Route {
        let path = "\(scratch.path)/socket"
        let listener = LocalSocket(descriptor: socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let isBound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener.descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        #expect(isBound && Glibc.listen(listener.descriptor, 1) == 0)
        Thread.start {
            let connection = accept(listener.descriptor, nil, nil)
            serve(connection)
            close(connection)
        }
        return .socket(path)
    }

    private static func line(_ connection: CInt) {
        var byte: UInt8 = 0
        while recv(connection, &byte, 1, 0) == 1, byte != 0x0A {}
    }

    @Test func theResultComesOverTheSocket() async throws {
        let route = try listen { connection in
            Self.line(connection)
            let text = "{\"state\":{\"_0\":\"Download\"}}\n{\"finished\":{\"_0\":{\"rebooting\":{}}}}\n"
            let renamed = text.replacing("rebooting", with: "restarting")
            _ = send(connection, renamed, renamed.utf8.count, CInt(MSG_NOSIGNAL))
        }
        let (reports, result) = await route.send(.reboot(1), timeLimit: 20)
        #expect(reports == [.state("Download")] && result == .rebooting)
    }

    @Test func aConnectionThatEndsWithoutAResultIsLost() async throws {
        let result = await (try listen { Self.line($0) }).send(.resume(1), timeLimit: 20).result
        #expect(reason(result)?.contains("it ended without a result; see journalctl") == true, "\(result)")
    }

    @Test func anInstallerThatTakesTooLongIsLost() async throws {
        let route = try listen { connection in
            // Until the client closes its end.
            Self.line(connection)
            Self.line(connection)
        }
        let result = await route.send(.resume(1), timeLimit: 0.1).result
        #expect(reason(result)?.contains("it took too long") == true, "\(result)")
    }

    // MARK: asking

    @Test func anAnswerIsWaitedFor() throws {
        let script = "exec >&0; read -r request; echo '{\"finished\":{\"_0\":{\"unknown\":{}}}}'"
        #expect(
            try InstallerClient.ask(.resume(1), startingAt: "/bin/sh", arguments: ["-c", script], within: 20)
                == .unknown)
        let silent = try InstallerClient.ask(
            .resume(1), startingAt: "/bin/sh", arguments: ["-c", "read -r request <&0"], within: 20)
        #expect(reason(silent) == "it ended without a result")
    }

    @Test func theNeedOfSpaceIsAskedFor() {
        let script =
            "exec >&0; read -r request; echo '{\"space\":{\"_0\":[{\"directory\":\"/opt\",\"percent\":100,\"bytes\":5}]}}'"
        #expect(
            InstallerClient.askSpace(startingAt: "/bin/sh", arguments: ["-c", script], within: 20)
                == [SpaceNeed(directory: "/opt", percent: 100, bytes: 5)])
        #expect(InstallerClient.askSpace(startingAt: "/nonexistent", arguments: [], within: 20) == nil)
    }
}
