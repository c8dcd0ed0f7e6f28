import Glibc
import Host
import Simulator
import TestSupport

/// Two slots with an image each, for the module `image`: an image is the version file of its version, so it has at most 64 KiB.
struct CrashSlots {
    private let device: AgentDevice
    private var scratch: Scratch { device.scratch }

    init(_ device: AgentDevice) throws {
        self.device = device
        for (name, text) in [("primary", "A"), ("current", "A"), ("state-A", "good"), ("state-B", "bad")] {
            try scratch.write("boot/\(name)", "\(text)\n")
        }
        try scratch.write("slots/A/version", "VERSION=v1\nVERSION_CODE=1\n")
        try scratch.write("slots/B/version", "")
        try run("A")
    }

    func publish(_ code: Int, type: Int) async throws -> Version {
        let image = "VERSION=v\(code)\nVERSION_CODE=\(code)\n" + String(repeating: "# ballast\n", count: 4000)
        let file = try scratch.write("files/v\(code)", image)
        try await device.publisher.sign(file, comment: "urlKey=\(AgentDevice.urlKey) versionCode=\(code)")
        return Version(versionCode: code, versionName: "v\(code)", file: "v\(code)", upgradeType: type)
    }

    /// Lines for the end of the section `install`.
    var options: String {
        """

        [install.files]
        slots = "A=\(scratch.path)/slots/A/version B=\(scratch.path)/slots/B/version"
        bootloader = "\(repositoryDirectory)/packaging/bootloaders/file \(scratch.path)/boot"
        """
    }

    /// The bootloader starts the slot that it is to boot, unless the slot is bad.
    func boot() throws {
        let primary = try scratch.read("boot/primary").filter { $0 != "\n" }
        let isBad = try scratch.read("boot/state-\(primary)") == "bad\n"
        try run(isBad ? (primary == "A" ? "B" : "A") : primary)
    }

    private func run(_ slot: String) throws {
        try scratch.write("boot/current", "\(slot)\n")
        unlink("\(scratch.path)/live")
        symlink("slots/\(slot)", "\(scratch.path)/live")
    }
}
