import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// What the agent says about a proxy with a password, and about keys that cannot be sent.
@Suite struct SecretTests {
    private let device: AgentDevice
    private static let password = "w0rd-4711"

    init() async throws { device = try await AgentDevice() }

    private func expectNoPassword(_ lines: [String]) {
        for line in lines { #expect(!line.contains("w0rd") && !line.contains(AgentDevice.secret), "\(line)") }
    }

    @Test func thePasswordOfAProxyIsInNoStatusLogOrState() async throws {
        let proxy = try FileHost({ [:] }) { request in
            // It repeats what it was sent.
            let token = request.headers["proxy-authorization"] ?? "none"
            let body = "{\"code\":403001,\"msg\":\"\(token) http://user:\(Self.password)@h \(Self.password)\"}"
            return Array("HTTP/1.1 403 Forbidden\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
        }
        for (server, proxy, text) in [
            ("http://server.invalid", "http://user:\(Self.password)@127.0.0.1:\(proxy.port)", "HTTP 403"),
            ("https://server.invalid", "http://user:\(Self.password)@127.0.0.1:\(proxy.port)", "HTTP 403 to CONNECT"),
            ("http://server.invalid", "socks5h://user:\(Self.password)@proxy.invalid", "proxy.invalid"),
        ] {
            try device.configure(server: server, changes: "[server]\nproxy = \"\(proxy)\"")
            let run = try await AgentProcess.run(device) { agent async throws in
                #expect(await agent.says(text), "\(agent.statuses)")
                return agent.messages
            }
            expectNoPassword(run.value + run.log)
            expectNoPassword([try device.scratch.read("state/state.json")])
            try Files.removeTree("\(device.scratch.path)/state")
        }
    }

    @Test func aLineBreakFromOutsideMakesNoSecondEntry() async throws {
        let forged = "\n<0>Forged\u{1B}[31m\u{202E}"
        try device.scratch.write("other", "VERSION=v1\(forged)\nVERSION_CODE=1\(forged)\n")
        try await SimulatedServer.run(
            device.server(
                [],
                faults: [Fault(path: "/v1/url", status: 400, body: #"{"code":400001,"msg":"a\n<0>Forged\u001b[31m"}"#)])
        ) { server async throws in
            try device.configure(server: server.url)
            let run = try await AgentProcess.run(device) { agent async throws in
                #expect(await agent.says("Forged"))
                try device.configure(server: server.url, changes: "[poll]\ninterval = \"\\n<0>Forged\\u001b\"")
                kill(agent.pid, SIGHUP)
                #expect(await agent.says("The configuration was not reloaded"))
                return agent.messages
            }
            for line in run.value + run.log {
                #expect(!line.hasPrefix("<0>") && line.hiddenCharacter == nil, "\(line)")
            }
        }
        // Standard error of the installer is the journal too.
        for program in ["upgradelink-installer", "upgradelinkd"] {
            let argument = "--x\u{1B}[2J\u{202E}\r\n<0>Forged"
            let run = await Program(
                "\(programsDirectory)/\(program)", [argument], streams: .captured, timeLimit: 20
            ).run()
            #expect(run.end == .exited(64) && !run.errors.isEmpty, "\(run)")
            for line in run.errors { #expect(line.hiddenCharacter == nil, "\(line)") }
            #expect(run.errors.count == 1, "\(run.errors)")
        }
    }

    @Test(arguments: [
        (
            "[server]\nproxy = \"user:w0rd-4711@proxy.example\"",
            "server.proxy: found a text that is not the URL of a proxy"
        ),
        ("[credentials]\nsecretKey = \"w0rd-4711\\r\\nX: y\"", "credentials.secretKey: found a line break"),
        ("[credentials]\naccessKey = \"w0rd-4711\\n\"", "credentials.accessKey: found a line break"),
    ])
    func aWrongProxyOrKeyIsAConfigurationError(changes: String, line: String) async throws {
        try await SimulatedServer.run(device.server([])) { server async throws in
            // A reload keeps the old configuration.
            try device.configure(server: server.url)
            let reloaded = try await AgentProcess.run(device) { agent async throws in
                #expect(await agent.says("Up to date"))
                try device.configure(server: server.url, changes: changes)
                kill(agent.pid, SIGHUP)
                #expect(await agent.says("The configuration was not reloaded: "))
                #expect(await agent.logs(line))
                let polls = await server.polls
                #expect(await eventually { await server.polls > polls })
                return agent.messages
            }
            expectNoPassword(reloaded.value + reloaded.log)
            let started = try await AgentProcess.run(device) { agent async throws in
                #expect(await eventually { agent.hasEnded })
                return agent.messages
            }
            #expect(
                started.end == .exited(78) && started.log.count == 1 && started.log[0].contains(line), "\(started.log)")
            expectNoPassword(started.value + started.log)
        }
        let check = Program(
            "\(programsDirectory)/upgradelinkd", ["--check-config", "--root", device.scratch.path], streams: .captured,
            timeLimit: 20)
        let run = await check.run()
        #expect(run.end == .exited(78) && run.errors.count == 1 && run.errors[0].contains(line), "\(run)")
        expectNoPassword(run.errors + run.lines)
    }
}
