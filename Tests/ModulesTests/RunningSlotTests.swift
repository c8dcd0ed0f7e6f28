import Host
import Simulator
import TestSupport
import Testing

@testable import Modules

/// The device of this computer's root file system, `major:minor`; nil in a container, for example.
private let rootDevice = MountTable.current.rootDevices.first

/// Which slot runs, if neither the bootloader's program nor the kernel's command line tells.
@Suite struct RunningSlotTests {
    /// Two names of one device are a mistake in the configuration: the other slot would be the one that runs, and overwritten.
    @Test(.enabled(if: isRoot && rootDevice != nil, "root makes names for a device"))
    func theRootFileSystemIsOnOneSlotOnly() async throws {
        let scratch = try Scratch()
        let numbers = try #require(rootDevice).split(separator: ":").map(String.init)
        for name in ["one", "again"] {
            try await execute("mknod", ["-m", "600", "\(scratch.path)/\(name)", "b"] + numbers)
        }
        try scratch.write("file", "")
        let bootloader = try Bootloader("/bin/false")
        func running(_ first: String, _ second: String) throws -> String {
            try Slots("A=\(scratch.path)/\(first) B=\(scratch.path)/\(second)").current(bootloader).name
        }
        #expect(try running("one", "file") == "A" && running("file", "again") == "B")
        for slots in [("one", "again"), ("file", "nothing")] {
            let error = #expect(throws: ModuleError.self) { try running(slots.0, slots.1) }
            #expect(error?.description.hasPrefix("it is not known which slot runs") == true)
        }
    }
}
