import Glibc
import Host
import Simulator
import TestSupport
import Testing

extension SystemTests.Packages {
    /// The documents that the package brings.
    @Suite struct PackagedDocumentsTests {
        private let root: String
        private let scratch: Scratch
        private static let documents = "usr/share/doc/upgradelinkd"

        init() async throws {
            scratch = try Scratch()
            root = "\(scratch.path)/package"
            try await execute("dpkg-deb", ["-x", try PackageLayer.package, root])
        }

        private func files(_ directory: String) async throws -> [String] {
            try await execute("find", [".", "-type", "f"], in: "\(root)/\(directory)").split(separator: "\n")
                .map { String($0.dropFirst(2)) }.sorted()
        }

        private func text(_ name: String) throws -> String {
            String(decoding: try Files.read("\(root)/\(Self.documents)/\(name)", limit: 4 << 20), as: UTF8.self)
        }

        @Test func theDocumentsAndExamplesAreThere() async throws {
            let found = try await files(Self.documents)
            let wanted =
                try Files.list("\(repositoryDirectory)/docs").filter { $0.hasSuffix(".md") }
                + Files.list("\(repositoryDirectory)/docs/examples").map { "examples/\($0)" }
                + ["README.md", "NEWS.md", "changelog.Debian.gz", "copyright"]
            for name in wanted { #expect(found.contains(name), "\(name)") }
            for name in try Files.list("\(repositoryDirectory)/docs/examples") {
                let original = try Files.read("\(repositoryDirectory)/docs/examples/\(name)", limit: 1 << 20)
                #expect(try Files.read("\(root)/\(Self.documents)/examples/\(name)", limit: 1 << 20) == original)
            }
            // The installed size counts on a device.
            let size = try await execute("du", ["-sk", "--apparent-size", "\(root)/\(Self.documents)"])
            #expect(size.split(separator: "\t").first.flatMap { Int($0) }.map { $0 < 512 } == true, "\(size)")
        }

        @Test func theLinksBetweenDocumentsWork() async throws {
            var count = 0
            for name in try await files(Self.documents) where name.hasSuffix(".md") {
                for match in try text(name).matches(of: /\]\(([^)\s]+)\)/) {
                    let target = String(match.1.prefix { $0 != "#" })
                    if target.isEmpty || target.contains("://") { continue }
                    let path = target.hasPrefix("/") ? "\(root)\(target)" : "\(root)/\(Self.documents)/\(target)"
                    #expect(Files.exists(path), "\(name) links to \(match.1)")
                    count += 1
                }
            }
            #expect(count > 20)
        }
    }
}
