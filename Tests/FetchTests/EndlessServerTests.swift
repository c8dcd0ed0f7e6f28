import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// Servers that would keep a download going for ever.
@Suite struct EndlessServerTests {
    private let rig: Rig
    private let fetch = FetchProgram()
    private static let piece = 1_000_000

    init() async throws { rig = try await Rig() }

    private func host(
        _ content: [UInt8], _ respond: @escaping @Sendable (FileHost.Request) -> [UInt8]?
    ) throws -> FileHost {
        let signature = try Files.read("\(rig.scratch.path)/files/v2.minisig", limit: 4096)
        return try FileHost({ ["/files/v2": content, "/files/v2.minisig": signature] }) {
            $0.target.contains(".minisig") ? nil : respond($0)
        }
    }

    private func range(_ request: FileHost.Request, from first: Int, count: Int) -> [UInt8] {
        let end = min(first + count, request.content.count)
        return request.respond(
            "206 Partial Content",
            ["Content-Range: bytes \(first)-\(end - 1)/\(request.content.count)", "Content-Length: \(end - first)"],
            Array(request.content[first..<end]))
    }

    /// Any piece of a forged file may be the wrong one, so the file comes once more, but not again and again.
    @Test(.timeLimit(.minutes(1))) func aForgedFileThatComesInPiecesStartsOverOnce() async throws {
        let forged = [UInt8](repeating: 7, count: Rig.size)
        let host = try host(forged) { range($0, from: $0.start ?? 0, count: Self.piece) }
        let result = try await fetch.download(try rig.job(host.url), timeLimit: 30)
        guard case .refused? = result else {
            Issue.record("\(String(describing: result))")
            return
        }
        #expect(host.requests.filter { $0.target == "/files/v2" }.count == 2 * Rig.size / Self.piece)
    }

    /// Each piece is behind a link that works once, so the next one is requested from the address of the offer.
    @Test(.timeLimit(.minutes(1))) func aLinkThatWorksOnceIsNotUsedAgain() async throws {
        let content = try Files.read("\(rig.scratch.path)/files/v2", limit: 1 << 30)
        let signature = try Files.read("\(rig.scratch.path)/files/v2.minisig", limit: 4096)
        let all = ["/files/v2": content, "/files/v2.minisig": signature, "/files/once": content]
        let host = try FileHost({ all }) { request in
            if request.target.contains(".minisig") { return nil }
            if request.target == "/files/v2" {
                let link = "Location: /files/once?\(request.earlier)"
                return request.respond("302 Found", [link, "Content-Length: 0"], [])
            }
            guard request.earlier == 0 else { return request.respond("403 Forbidden", ["Content-Length: 0"], []) }
            return range(request, from: request.start ?? 0, count: Self.piece)
        }
        let result = try await fetch.download(try rig.job(host.url), timeLimit: 30)
        guard case .verified? = result else {
            Issue.record("\(String(describing: result)) \(host.requests)")
            return
        }
        #expect(host.requests.filter { $0.target == "/files/v2" }.count == Rig.size / Self.piece)
    }

    /// Its status says enough.
    @Test func anErrorPageOfAnyLengthIsReportedByItsStatus() async throws {
        let page = [UInt8](repeating: 0x78, count: 2_000_000)
        let host = try FileHost({ ["/files/v2.minisig": page] }) { request in
            request.respond("404 Not Found", ["Content-Length: \(page.count)"], page)
        }
        guard case .gone(let line)? = try await fetch.download(try rig.job(host.url)) else {
            Issue.record("there is no signature")
            return
        }
        #expect(line.hasPrefix("HTTP 404 for the signature"), "\(line)")
    }

    /// Each response repeats the first bytes of the file, which brings nothing new: the whole file is requested once.
    @Test(.timeLimit(.minutes(1))) func aServerThatRepeatsTheStartIsLeft() async throws {
        let content = try Files.read("\(rig.scratch.path)/files/v2", limit: 1 << 30)
        let host = try host(content) { request in
            request.earlier == 0
                ? request.cut(request.honest(), after: Self.piece) : range(request, from: 0, count: 100)
        }
        _ = try await fetch.download(try rig.job(host.url))
        let result = try await fetch.download(try rig.job(host.url), timeLimit: 30)
        guard case .transientError(let error)? = result else {
            Issue.record("\(String(describing: result))")
            return
        }
        #expect(error.line.contains("the server sends no more than 1.0 MB"), "\(error.line)")
        #expect(host.requests.filter { $0.target == "/files/v2" }.map(\.range) == [nil, "bytes=1000000-", nil])
    }
}
