import Host

/// The two places of an image.
struct Slots {
    struct Slot: Hashable {
        /// As the bootloader knows it.
        let name: String
        /// The path of a block device or of a file, as it is configured.
        let path: String
    }

    let all: [Slot]

    /// - Parameter text: the option `slots`: NAME=PATH twice, separated by blanks or line breaks.
    init(_ text: String?) throws {
        let wrong = ModuleError(
            "set install.files.slots to two names and absolute paths, such as \"A=/dev/mmcblk0p2 B=/dev/mmcblk0p3\"")
        let words = (text ?? "").split(whereSeparator: \.isWhitespace)
        let slots: [Slot] = words.compactMap { word in
            let parts = word.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, parts[1].hasPrefix("/"),
                parts[0].allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0)) })
            else { return nil }
            return Slot(name: String(parts[0]), path: String(parts[1]))
        }
        guard words.count == 2, slots.count == 2, slots[0].name != slots[1].name else { throw wrong }
        guard Files.resolved(slots[0].path) != Files.resolved(slots[1].path) else { throw wrong }
        all = slots
    }

    func slot(_ name: String) throws -> Slot {
        guard let slot = all.first(where: { $0.name == name }) else {
            throw ModuleError("install.files.slots has no slot \(name.isEmpty ? "without a name" : name)")
        }
        return slot
    }

    func other(_ slot: Slot) -> Slot { all[0] == slot ? all[1] : all[0] }

    /// The slot that runs: by the bootloader's program, else by the kernel's command line (`upgradelink.slot=NAME`, `rauc.slot=NAME`), else
    /// the device that has the root file system.
    func current(_ bootloader: Bootloader) throws -> Slot {
        if let name = bootloader.current() { return try slot(name) }
        let line = (try? Files.read("/proc/cmdline", limit: 65_536)).map { String(decoding: $0, as: UTF8.self) } ?? ""
        for word in line.split(whereSeparator: \.isWhitespace).reversed() {
            for key in ["upgradelink.slot=", "rauc.slot="] where word.hasPrefix(key) {
                return try slot(String(word.dropFirst(key.count)))
            }
        }
        let roots = MountTable.current.rootDevices
        let found = all.filter { slot in
            FileStatus(Files.resolved(slot.path))?.deviceNumber.map(roots.contains) ?? false
        }
        guard let slot = found.first, found.count == 1 else {
            throw ModuleError(
                "it is not known which slot runs: the bootloader's program has no get-current, the kernel's command line has no "
                    + "rauc.slot=, and the root file system is on neither slot")
        }
        return slot
    }
}
