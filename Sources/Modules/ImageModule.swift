import Glibc
import Host
import UpdateCore

/// The update module `image` writes an image to the slot that does not run, and selects it for the next boot. A rollback selects the slot
/// that ran before.
///
/// Options (`install.files`): `slots`, NAME=PATH twice, block devices or files; `bootloader`, the program that selects the slot, see
/// ``Bootloader``. The artifact is the image: raw, or compressed by gzip, xz or zstd.
struct ImageModule: Module {
    static let name = "image"
    static let needsReboot = "Automatic"
    static let supportsRollback = "Yes"

    private let tree: ModuleTree

    init(_ tree: ModuleTree) { self.tree = tree }

    func enter(_ state: ModuleState) throws {
        switch state {
        case .install: try install()
        case .verifyReboot: try requireCurrent(isNew: true)
        // Only now: until then the bootloader counts the boots of the new slot, and returns by itself if it does not work.
        case .commit: try bootloader().setState(of: remembered("target").name, isGood: true)
        case .rollback: try rollBack()
        case .verifyRollbackReboot:
            try requireCurrent(isNew: false)
            let before = try remembered("before")
            // The bootloader may count this boot as an attempt.
            Self.attempt { try bootloader().setState(of: before.name, isGood: true) }
        case .cleanup, .other: break
        }
    }

    private func slots() throws -> Slots { try Slots(tree.option("slots")) }

    private func bootloader() throws -> Bootloader {
        guard let text = try tree.option("bootloader") else {
            throw ModuleError("set install.files.bootloader to uboot, grub, systemd-boot, or the path of a program")
        }
        return try Bootloader(text)
    }

    private func remembered(_ key: String) throws -> Slots.Slot { try slots().slot(tree.recall(key) ?? "") }

    /// A block device has its space; a file may grow.
    func spaceNeeds() throws -> [SpaceNeed] {
        let slots = try slots()
        let slot = slots.other(try slots.current(bootloader()))
        let path = Files.resolved(slot.path)
        guard FileStatus(path)?.kind == .regular else { return [] }
        return [SpaceNeed(directory: Files.directory(of: path), percent: 100)]
    }

    // MARK: installation

    private func install() throws {
        let (slots, bootloader) = (try slots(), try bootloader())
        let current = try slots.current(bootloader)
        let target = slots.other(current)
        let source = try ImageSource(try tree.artifact())
        let file = try open(target)
        if let size = source.imageSize, size > file.capacity {
            throw ModuleError("the image has \(size) bytes, and \(target.path) has \(file.capacity)")
        }
        try tree.begin()
        try tree.remember("before", current.name)
        try tree.remember("target", target.name)
        // A slot that is written is not to be booted, whatever happens from now on.
        try bootloader.setState(of: target.name, isGood: false)
        try write(source, to: file)
        try bootloader.setPrimary(target.name)
        guard try bootloader.primary() == target.name else {
            throw ModuleError("the bootloader did not select slot \(target.name)")
        }
    }

    /// Others must not be able to put something else in the slot's place.
    private func open(_ slot: Slots.Slot) throws -> DirectFile {
        let path = Files.resolved(slot.path)
        _ = try Place.directory(Files.directory(of: path), option: "slots", creates: false)
        do throws(SystemError) {
            return try DirectFile(path)
        } catch {
            guard error.isBusy else { throw error }
            throw ModuleError("slot \(slot.name), \(slot.path), is in use: unmount it")
        }
    }

    private func write(_ source: ImageSource, to file: DirectFile) throws {
        let writer = SlotWriter(file)
        var progress = Percentage("written")
        try source.read { bytes, done in
            try writer.add(bytes)
            progress.show(done, of: source.size)
        }
        try writer.finish()
        progress = Percentage("verified")
        try writer.verify { progress.show($0, of: writer.size) }
        Environment.printLine("\(writer.size) bytes, of which \(writer.equal) were equal already")
    }

    // MARK: boots

    private func requireCurrent(isNew: Bool) throws {
        let wanted = try remembered(isNew ? "target" : "before")
        let current = try slots().current(bootloader())
        guard current != wanted else { return }
        throw ModuleError(
            isNew
                ? "the device still runs from slot \(current.name)"
                : "the device runs from slot \(current.name), and not from \(wanted.name)")
    }

    private func rollBack() throws {
        // Otherwise nothing was changed.
        guard let before = try tree.recall("before"), let target = try tree.recall("target") else { return }
        let bootloader = try bootloader()
        try bootloader.setPrimary(before)
        try bootloader.setState(of: target, isGood: false)
    }
}

/// Lines with a percentage, which the agent's status shows.
private struct Percentage {
    private let what: String
    private var last: Int64 = -1

    init(_ what: String) { self.what = what }

    mutating func show(_ done: Int64, of all: Int64) {
        let percent = all > 0 ? min(done / max(all / 100, 1), 100) : 100
        guard percent >= last + 5 || percent == 100 && last < 100 else { return }
        last = percent
        Environment.printLine("\(percent) % \(what)")
    }
}
