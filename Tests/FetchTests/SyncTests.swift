import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// What is on the disk when a worker reports its result: a power cut right after the report loses nothing.
@Suite struct SyncTests {
    private let rig: Rig

    init() async throws { rig = try await Rig() }

    /// Runs a job, and returns its changes of the staging directory in their order, as "KIND NAME", and the synced length.
    private func changes(of job: FetchJob) async throws -> [(what: String, size: String)] {
        let disk = try VolatileDisk(rig.scratch, prefix: rig.staging)
        try disk.newBoot()
        let environment = disk.environment(crashAt: 0, keepsJournal: true).map { "\($0.key)=\($0.value)" }
        let program = Program(
            "/usr/bin/env", environment + ["\(programsDirectory)/upgradelink-fetch"], streams: .pipes(), timeLimit: 60)
        let lines = await program.run(try JSONLine.encode(job)).lines
        let last = try JSONLine.decode(FetchReport.self, from: Array((lines.last ?? "").utf8))
        switch last {
        case .downloaded(.verified, _), .adopted(.verified): break
        default: Issue.record("\(last)")
        }
        return try rig.scratch.read("crash/journal").split(separator: "\n").map { line in
            let parts = line.split(separator: "\t", omittingEmptySubsequences: false)
            let name = parts[1].replacing(rig.staging, with: "staging")
            return ("\(parts[0]) \(name)", String(parts[4]))
        }
    }

    /// Whether the changes occur in this order, others between them.
    private func expect(_ wanted: [String], in changes: [(what: String, size: String)]) {
        var rest = changes.map(\.what)[...]
        for what in wanted {
            guard let place = rest.firstIndex(of: what) else {
                Issue.record("\(what) is missing or too early in \(changes.map(\.what))")
                return
            }
            rest = rest[(place + 1)...]
        }
    }

    @Test(.enabled(if: !hasSanitizer)) func aDownloadIsSyncedBeforeItHasItsName() async throws {
        try await SimulatedServer.run(rig.configuration()) { server async throws in
            let found = try await changes(of: .download(rig.job(server.url)))
            expect(
                [
                    // The note says what is synced, so it comes afterwards.
                    "sync staging/2.part", "sync staging/2.part.json.new", "rename staging/2.part.json", "sync staging",
                    "sync staging/2.sidecar.new", "rename staging/2.sidecar", "sync staging",
                    "rename staging/2.artifact", "sync staging",
                ], in: found)
            #expect(found.last { $0.what == "sync staging/2.part" }?.size == "\(Rig.size)")
            let renamed = try #require(found.firstIndex { $0.what == "rename staging/2.artifact" })
            #expect(!found[renamed...].contains { $0.what == "write staging/2.artifact" })
            // The note is removed after the file has its name.
            #expect(found.last { $0.what.contains("2.part.json") }?.what.hasPrefix("rename") != true)
        }
    }

    @Test(.enabled(if: !hasSanitizer)) func aLocalFileIsSyncedBeforeItIsReported() async throws {
        let job = AdoptJob(
            name: "v2", path: "\(rig.scratch.path)/files/v2", urlKey: Rig.urlKey, devModelKey: nil,
            directory: rig.staging, sizeLimit: 1 << 30, keepFree: 0,
            verification: VerificationPolicy(
                mode: .minisign, keys: [rig.publisher.publicKey], sidecarURL: "{url}.minisig", requireVersionCode: true)
        )
        let found = try await changes(of: .adopt(job))
        expect(
            [
                "write staging/2.artifact", "sync staging/2.artifact", "sync staging/2.sidecar.new",
                "rename staging/2.sidecar", "sync staging",
            ], in: found)
        #expect(found.last { $0.what == "sync staging/2.artifact" }?.size == "\(Rig.size)")
    }
}
