import Glibc
import Host
import TestSupport
import Testing
import UpdateCore
import Verification

@testable import Installation

/// The queries of the protocol: a module that fails has given no answer, whatever it printed before.
@MainActor @Suite struct QueryTests {
    private let scratch: Scratch
    private var tree: String { "\(scratch.path)/state/tree" }

    init() throws {
        scratch = try Scratch()
        try Files.createDirectory("\(scratch.path)/state/tree/tmp")
    }

    private func settings(_ timeout: Seconds = 20) -> InstallSettings {
        InstallSettings(
            module: "asked", moduleDirectories: ["\(scratch.path)/modules", "\(scratch.path)/others"],
            fileName: "artifact",
            files: [:], metaData: "{}", timeout: timeout, timeouts: ["Download": 1], rebootCommand: [], urlKey: "k",
            devModelKey: nil)
    }

    private struct Refused: Error {}

    private func perform(
        _ step: InstallStep, installed: InstalledVersion = .unknown("x"), timeout: Seconds = 20
    ) async throws -> StepOutcome {
        let settings = settings(timeout)
        let installer = try Installer(
            directory: "\(scratch.path)/state", bootID: "a",
            .init(
                settings: { settings }, installedVersion: { installed }, verify: { _, _ in throw Refused() },
                report: { _ in }, stop: StopRequest()))
        let offer = Offer(file: "/f", urlKey: "k", versionCode: 2)
        var record = InstallRecord(job: InstallJob(id: 1, offer: offer, sidecar: nil), bootID: "a", module: "asked")
        record.step = step
        return await withCheckedContinuation { continuation in
            installer.perform(record, nil) { continuation.resume(returning: $0) }
        }
    }

    private func answer(_ script: String, to step: InstallStep, timeout: Seconds = 20) async throws -> StepOutcome {
        try scratch.write("modules/asked", "#!/bin/sh\n\(script)\n", mode: 0o755)
        return try await perform(step, timeout: timeout)
    }

    /// How a module can fail after its answer, and what is said about it.
    private nonisolated static let failures = [
        ("exit 1", "exit status 1"), ("exit 75", "exit status 75"), ("kill -9 $$", "ended by signal 9"),
        ("kill -15 $$", "ended by signal 15"), ("echo 'no disk' >&2; exit 2", "no disk"),
    ]

    // MARK: NeedsArtifactReboot

    @Test(arguments: [
        ("echo No", RebootNeed.no), ("echo Yes", .yes), ("echo Automatic", .automatic),
        ("printf Automatic", .automatic),
        ("", .no), ("echo Yes >&2", .no), ("echo; echo Yes", .no), ("echo Automatic; echo No", .automatic),
        ("echo Automatic; head -c 20000 /dev/zero | tr '\\0' '\\n'", .automatic),
    ])
    func theFirstLineIsTheAnswer(script: String, need: RebootNeed) async throws {
        #expect(try await answer(script, to: .askNeedsReboot) == .needsReboot(need))
    }

    @Test(arguments: failures) func aModuleThatFailsHasNotSaidWhatItNeeds(script: String, reason: String) async throws {
        for step in [InstallStep.askNeedsReboot, .askNeedsRebootForRollback] {
            for word in ["Yes", "No", "Automatic", ""] {
                let outcome = try await answer("echo '\(word)'; \(script)", to: step)
                #expect(outcome == .failed("asked failed in NeedsArtifactReboot: \(reason)"), "\(word)")
            }
        }
    }

    @Test(arguments: ["yes", "YES", "Yes ", "Maybe", "No\\r", "automatic"])
    func nonsenseIsNoAnswer(text: String) async throws {
        let outcome = try await answer("printf '\(text)\\n'", to: .askNeedsReboot)
        guard case .failed(let reason, code: nil) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(reason.hasPrefix("asked answers NeedsArtifactReboot with \""))
    }

    @Test func aLongLineIsNoAnswer() async throws {
        let outcome = try await answer("head -c 600000 /dev/zero | tr '\\0' Y; echo", to: .askNeedsReboot)
        let text = String(repeating: "Y", count: 40)
        #expect(outcome == .failed("asked answers NeedsArtifactReboot with \"\(text)\""))
    }

    @Test(arguments: [InstallStep.askNeedsReboot, .askSupportsRollback])
    func aQueryHasATimeLimit(step: InstallStep) async throws {
        let outcome = try await answer("echo Yes; exec sleep 100", to: step, timeout: 0.3)
        guard case .failed(let reason, code: nil) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(reason.hasSuffix("it took too long and was stopped"))
    }

    // MARK: SupportsRollback

    @Test(arguments: [
        ("echo Yes", true), ("printf Yes", true), ("echo Yes; echo No", true), ("echo No", false), ("", false),
        ("echo yes", false), ("echo 'Yes '", false), ("echo; echo Yes", false), ("echo Yes >&2", false),
        ("head -c 600000 /dev/zero | tr '\\0' Y; echo", false),
    ])
    func onlyYesIsARollback(script: String, isSupported: Bool) async throws {
        #expect(try await answer(script, to: .askSupportsRollback) == .supportsRollback(isSupported))
    }

    @Test(arguments: failures) func aModuleThatFailsHasNoRollback(script: String, reason: String) async throws {
        for word in ["Yes", "No", ""] {
            let outcome = try await answer("echo '\(word)'; \(script)", to: .askSupportsRollback)
            #expect(outcome == .failed("asked failed in SupportsRollback: \(reason)"), "\(word)")
        }
    }

    // MARK: NeedsSpace

    private func space(_ script: String, timeout: Seconds = 20) async throws -> [SpaceNeed]? {
        try scratch.write("modules/asked", "#!/bin/sh\n\(script)\n", mode: 0o755)
        try scratch.write("modules/asked.space", "")
        let needs: [SpaceNeed]? = await withCheckedContinuation { continuation in
            SpaceQuery.ask(settings(timeout), directory: "\(scratch.path)/state") { continuation.resume(returning: $0) }
        }
        // Nothing stays behind.
        #expect(try Files.list("\(scratch.path)/state") == ["tree"])
        // The copy of the artifact, because there is no staging directory.
        guard var needs else { return nil }
        #expect(needs.popLast() == SpaceNeed(directory: "\(scratch.path)/state", percent: 100))
        return needs
    }

    private var assumed: [SpaceNeed] { [SpaceNeed(directory: "\(scratch.path)/state", percent: 100)] }

    @Test(arguments: failures + [("sleep 100", "")])
    func aModuleThatFailsHasNotSaidWhatSpaceItNeeds(script: String, reason: String) async throws {
        for words in ["/tmp 10 0", "none", ""] {
            #expect(try await space("echo '\(words)'; \(script)", timeout: 0.3) == nil, "\(words)")
        }
    }

    @Test func whatMakesNoSenseIsAssumedToBeACopy() async throws {
        for script in [
            "", "echo", "echo None", "echo '/tmp 10'", "echo 'tmp 10 0'", "echo '/tmp -1 0'", "echo '/tmp 10001 0'",
            "echo '/tmp 1 -1'", "echo '/tmp x 0'", "head -c 600000 /dev/zero | tr '\\0' Y; echo",
        ] {
            #expect(try await space(script) == assumed, "\(script)")
        }
        #expect(try await space("echo none") == [])
        #expect(try await space("echo '/a b 0 0'") == [SpaceNeed(directory: "/a b", percent: 0)])
        #expect(
            try await space("echo nonsense; echo '/tmp 10000 7'; echo none")
                == [SpaceNeed(directory: "/tmp", percent: 10_000, bytes: 7)])
    }

    // MARK: the module

    @Test func theFirstDirectoryWithTheModuleCounts() async throws {
        try scratch.write("others/asked", "#!/bin/sh\necho Automatic\n", mode: 0o755)
        #expect(try await perform(.askNeedsReboot) == .needsReboot(.automatic))
        #expect(try await answer("echo Yes", to: .askNeedsReboot) == .needsReboot(.yes))
        // It is not passed over because of its mode.
        try scratch.write("modules/asked", "#!/bin/sh\n", mode: 0o644)
        #expect(
            try await perform(.askNeedsReboot)
                == .failed("the update module \(scratch.path)/modules/asked is not executable: chmod +x it"))
    }

    @Test func eachStateHasItsOwnTimeLimit() {
        #expect(settings(7).timeLimit(of: "Download") == 1 && settings(7).timeLimit(of: "Cleanup") == 7)
    }

    /// What a state that was killed left behind does not excuse the next one.
    @Test func onlyTheStateItselfCanSayThatItWaits() async throws {
        try scratch.write("state/tree/tmp/waiting", "")
        let late = try await answer("exec sleep 100", to: .module(.verifyReboot), timeout: 0.3)
        #expect(
            late == .failed("asked failed in ArtifactVerifyReboot: it took too long and was stopped"), "\(late)")
        let waiting = try await answer("touch tmp/waiting; exec sleep 100", to: .module(.verifyReboot), timeout: 0.5)
        #expect(
            waiting == .postponed("asked failed in ArtifactVerifyReboot: it took too long and was stopped"),
            "\(waiting)")
        // It does not wait any more, but fails.
        let failed = try await answer("touch tmp/waiting; exit 1", to: .module(.verifyReboot))
        #expect(failed == .failed("asked failed in ArtifactVerifyReboot: exit status 1"))
    }

    @Test(arguments: [74, 75, 76]) func exit75Postpones(status: Int) async throws {
        for state in ModuleState.allCases where state != .download && state != .install && state != .commit {
            guard state != .reboot, state != .rollbackReboot, state != .cleanup else { continue }
            let outcome = try await answer("exit \(status)", to: .module(state))
            let reason = "asked failed in \(state.rawValue): exit status \(status)"
            let isPostponed = status == 75 && (state == .verifyReboot || state == .rollback)
            #expect(outcome == (isPostponed ? .postponed(reason) : .failed(reason)), "\(state)")
        }
    }

    // MARK: other steps

    @Test func theInstalledVersionMustBeThatOfTheOffer() async throws {
        func check(_ code: Int) async throws -> StepOutcome {
            try await perform(.checkVersion, installed: .known(versionCode: code, versionName: "v"))
        }
        #expect(try await check(2) == .succeeded)
        for code in [1, 3] {
            #expect(
                try await check(code) == .failed("it was installed, but the device still reports versionCode \(code)"))
        }
        #expect(
            try await perform(.checkVersion)
                == .failed("it was installed, but the device's version cannot be read: x"))
    }

    @Test func withoutAFileNothingIsPrepared() async throws {
        #expect(
            try await answer("", to: .prepare) == .failed("no file came with the request", code: .jobInvalid))
        for step in [InstallStep.reboot, .rebootIntoRollback] { #expect(try await perform(step) == .awaitsReboot) }
    }
}
