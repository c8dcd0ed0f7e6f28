import Glibc
import TestSupport
import Testing

@testable import Host

/// What is not needed any more is closed: an agent runs for years. Other tests open files meanwhile, so a descriptor is
/// recognized by what it leads to.
@Suite struct ClosedDescriptorTests {
    private func target(of descriptor: String) -> String? { Files.linkTarget("/proc/self/fd/\(descriptor)") }

    private func hasDescriptor(leadingTo wanted: String) throws -> Bool {
        try Files.list("/proc/self/fd").contains { target(of: $0) == wanted }
    }

    /// A module that is missing is tried again and again.
    @Test(arguments: [Program.Streams.pipes(), .socket(passing: nil), .captured, .errors])
    func aProgramThatCannotBeStartedLeavesNoDescriptor(streams: Program.Streams) throws {
        let ends = try StreamEnds(streams)
        let own = Set([ends.input, ends.output, ends.errors].compactMap(\.self))
        let targets = own.compactMap { target(of: "\($0)") }
        #expect(!own.isEmpty && targets.count == own.count)
        #expect(throws: SystemError.self) {
            try Spawn.start(Program("/nonexistent/program", streams: streams, timeLimit: nil), ends)
        }
        ends.closeTheirs()
        let left = try targets.filter { try hasDescriptor(leadingTo: $0) }
        #expect(left.isEmpty)
    }

    /// The epoll(7) descriptors of this process that watch a file (proc_pid_fdinfo(5)).
    private func watches(of inode: UInt64) -> [String] {
        ((try? Files.list("/proc/self/fdinfo")) ?? []).filter { name in
            let bytes = (try? Files.read("/proc/self/fdinfo/\(name)", limit: 1 << 20)) ?? []
            return String(decoding: bytes, as: UTF8.self).split(separator: "\n").contains {
                $0.hasPrefix("tfd:") && $0.contains(" ino:\(String(inode, radix: 16)) ")
            }
        }
    }

    /// The watched pipe stays open: the kernel would forget a watch of one that is closed.
    @Test @MainActor func theEndOfAWatchLeavesNoDescriptor() async throws {
        let ends = try Pipe.make()
        defer { for end in [ends.reading, ends.writing] { close(end) } }
        let inode = try #require(FileStatus(descriptor: ends.reading)).identity.inode
        var before: [String] = []
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let watch = DescriptorWatch(ends.reading) { continuation.resume() }
            watch.whenReadable {}
            before = watches(of: inode)
            watch.cancel()
        }
        let after = watches(of: inode)
        #expect(before.count == 1 && after.isEmpty, "\(before), \(after)")
    }
}
