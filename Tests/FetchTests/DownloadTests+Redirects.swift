import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

extension DownloadTests {
    @Test func redirectsAreFollowed() async throws {
        try await with([
            Fault(path: "/a", redirect: "/b"), Fault(path: "/b", redirect: "c/d"),
            Fault(path: "/c/d", redirect: "/files/v2"),
        ]) { server async throws in
            var job = try rig.job(server.url, path: "/a")
            job.verification.sidecarURL = "\(server.url)/files/v2.minisig"
            #expect(try rig.isComplete(try await fetch.download(job)))
        }
    }

    @Test func aRedirectLoopIsATransientError() async throws {
        try await with([Fault(path: "/a", redirect: "/b"), Fault(path: "/b", redirect: "/a")]) { server async throws in
            #expect(
                try await fetch.download(rig.job(server.url, path: "/a"))
                    == .transientError(.file("more than 10 redirects")))
        }
    }

    @Test(arguments: ["file:///etc/passwd", "ftp://127.0.0.1/x", ""])
    func aRedirectToAnotherSchemeIsRefused(target: String) async throws {
        try await with([Fault(path: "/a", redirect: target)]) { server async throws in
            #expect(
                try await fetch.download(rig.job(server.url, path: "/a"))
                    == .transientError(.file("HTTP 302 without a usable Location (\"\(target)\")")))
        }
    }
}
