import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport
import Testing
import UpdateCore

@testable import Agent

/// `upgradelinkd --reload`, as the agent's unit runs it (ExecReload=).
@Suite struct ReloadTests {
    private let device: AgentDevice
    private var directory: String { "\(device.scratch.path)/run" }

    init() async throws {
        device = try await AgentDevice()
        try Files.createDirectory(directory)
    }

    private func reload(_ process: Int32) async throws -> (isSuccess: Bool, errors: String) {
        let result = try await Subprocess.run(
            .path(FilePath("\(programsDirectory)/upgradelinkd")), arguments: ["--reload"],
            environment: .inherit.updating(["MAINPID": "\(process)", "RUNTIME_DIRECTORY": directory]),
            output: .discarded, error: .string(limit: 65_536))
        return (result.terminationStatus.isSuccess, result.standardError)
    }

    @Test func theResultIsThatOfThisReload() async throws {
        try await SimulatedServer.run(device.server([])) { server async throws in
            try device.configure(server: server.url)
            try await AgentProcess.run(device, environment: ["RUNTIME_DIRECTORY": directory]) { agent async throws in
                #expect(await agent.says("Up to date"))
                let right = try await reload(agent.pid)
                #expect(right.isSuccess, "\(right.errors)")

                try device.configure(server: server.url, changes: "[poll]\ninterval = false")
                let wrong = try await reload(agent.pid)
                #expect(!wrong.isSuccess && wrong.errors.contains("poll.interval: found false"), "\(wrong.errors)")
                #expect(wrong.errors.contains("the old one stays effective"))
                // The directory is locked, and has the state.
                try device.configure(server: server.url, changes: "[state]\ndirectory = \"@ROOT@/other\"")
                let moved = try await reload(agent.pid)
                #expect(!moved.isSuccess && moved.errors.contains("needs a restart"), "\(moved.errors)")
                // A signal without a request has no reply.
                kill(agent.pid, SIGHUP)
                #expect(await eventually { agent.messages.count { $0 == "RELOADING=1" } == 4 })
                #expect(await eventually { agent.messages.count { $0 == "READY=1" } == 5 })
                // sd_notify(3): Type=notify-reload needs the time of each.
                #expect(agent.messages.count { $0.wholeMatch(of: /MONOTONIC_USEC=\d+/) != nil } == 4)
                #expect(try Files.list(directory).isEmpty)

                try device.configure(server: server.url)
                #expect(try await reload(agent.pid).isSuccess)
            }
        }
    }

    /// The next check is with the new keys, and of the new device.
    @Test func aReloadChangesTheDeviceAndItsKeys() async throws {
        try await SimulatedServer.run(device.server([])) { server async throws in
            try device.configure(server: server.url, changes: "[credentials]\naccessKey = \"other\"")
            try await AgentProcess.run(device, environment: ["RUNTIME_DIRECTORY": directory]) { agent async throws in
                #expect(await agent.says("check the access key and the secret key"))
                try device.configure(server: server.url, device: "665544332211")
                #expect(try await reload(agent.pid).isSuccess)
                #expect(await agent.says("Up to date"))
                let check = await server.records.last { $0.path == "/v1/url/upgrade" }
                #expect(check?.body.contains("665544332211") == true, "\(String(describing: check))")
            }
        }
    }

    /// A process that ignores SIGHUP, in place of an agent that does not reply.
    private func withSilentProcess(_ body: @Sendable (Int32) async throws -> Void) async throws {
        _ = try await Subprocess.run(
            .name("nohup"), arguments: ["sleep", "600"], input: .none, output: .discarded, error: .discarded
        ) { execution async throws in
            let process = execution.processIdentifier.value
            let name = {
                (try? Files.read("/proc/\(process)/comm", limit: 64)).map { String(decoding: $0, as: UTF8.self) }
            }
            #expect(await eventually { name() == "sleep\n" })
            do {
                try await body(process)
            } catch {
                kill(process, SIGKILL)
                throw error
            }
            kill(process, SIGKILL)
        }
    }

    /// Such as the late one of a reload that a signal began.
    @Test func aReplyToAnotherRequestIsNone() async throws {
        try await withSilentProcess { process async throws in
            try Files.replace("\(directory)/reload", with: [])
            async let result = reload(process)
            #expect(await eventually { Files.exists("\(directory)/reload.request") })
            try Files.replace("\(directory)/reload", with: Array("other\n".utf8))
            try await Task.sleep(for: .milliseconds(200))
            #expect(Files.exists("\(directory)/reload.request"), "it still waits")
            let id = String(decoding: try Files.read("\(directory)/reload.request", limit: 64), as: UTF8.self)
            try Files.replace("\(directory)/reload", with: Array("\(id)\nx: wrong".utf8))
            let (isSuccess, errors) = try await result
            #expect(!isSuccess && errors.contains("x: wrong"), "\(errors)")
        }
    }

    /// The default action of SIGHUP ends this process.
    @Test func anAgentThatEndsIsNotWaitedFor() async throws {
        let result = try await Subprocess.run(
            .name("sleep"), arguments: ["600"], input: .none, output: .discarded, error: .discarded
        ) { execution async throws in
            let process = execution.processIdentifier.value
            let result = try await reload(process)
            kill(process, SIGKILL)
            return result
        }.closureResult
        #expect(!result.isSuccess)
        #expect(result.errors.contains("ended before it had reloaded its configuration"), "\(result.errors)")
    }

    /// 0.1.0 leaves no result: after an upgrade of the package without a restart, nothing replies.
    @MainActor @Test func aLongWaitSaysWhatToDo() async throws {
        try await withSilentProcess { @MainActor process async throws in
            do throws(ReloadResult.Failure) {
                try ReloadResult.request(
                    ["MAINPID": "\(process)", "RUNTIME_DIRECTORY": directory], timeLimit: 0.1)
                Issue.record("nothing has replied")
            } catch {
                #expect(error.description.contains("systemctl restart upgradelinkd"))
                #expect(error.description.contains("an agent of 0.1.0 never tells it"))
            }
            #expect(try Files.list(directory).isEmpty)
        }
    }

    /// Run by hand, the command must not send signals to other processes.
    @MainActor @Test(arguments: [nil, "", "1", "x"]) func withoutTheAgentsProcessNothingIsSignalled(process: String?) {
        var environment = ["RUNTIME_DIRECTORY": directory]
        environment["MAINPID"] = process
        do throws(ReloadResult.Failure) {
            try ReloadResult.request(environment, timeLimit: 0.1)
            Issue.record("something was signalled")
        } catch {
            #expect(error.description.contains("--reload is for ExecReload= of the unit"))
        }
        #expect(!Files.exists("\(directory)/reload.request"))
    }

    /// The same lines as at the start of the agent.
    @Test func aReloadChecksWhatTheAgentNeeds() async throws {
        try await SimulatedServer.run(device.server([])) { server async throws in
            try device.configure(server: server.url)
            try await AgentProcess.run(device) { agent async throws in
                #expect(await agent.says("Up to date"))
                let complaint = "server.caBundle: \(device.scratch.path)/files/none has no certificate in PEM"
                #expect(!agent.log.contains { $0.contains(complaint) })
                let name = "etc/upgradelinkd/upgradelinkd.toml.d/test.toml"
                try device.scratch.write(name, "[server]\ncaBundle = \"\(device.scratch.path)/files/none\"\n")
                kill(agent.pid, SIGHUP)
                #expect(await agent.logs("Configuration reloaded"))
                #expect(await agent.logs(complaint), "\(agent.log)")
            }
        }
    }
}
