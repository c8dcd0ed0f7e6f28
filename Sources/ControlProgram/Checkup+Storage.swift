import Configuration
import DeviceChecks
import Host
import UpdateCore

/// Whether the files of an update survive a reboot, and the update itself.
extension Checkup {
    /// The directories of the agent and of the installer.
    var state: [Finding] {
        let table = MountTable.current
        let findings = [
            state("state.directory", settings.stateDirectory, table),
            state("state.installerDirectory", settings.installerDirectory, table),
        ]
        let problems = trust + findings.filter { $0.result != .ok }
        return problems.isEmpty ? Array(findings.prefix(1)) : problems
    }

    /// The installer refuses a directory in which other users can change names, or that is none.
    private var trust: [Finding] {
        guard root == "/",
            let place = try? Directory.distrust(onTheWayTo: settings.installerDirectory)
        else { return [] }
        return [
            .bad(
                "state",
                "\(place.reason), so the installer does not use \(settings.installerDirectory)",
                place.remedy ?? "set state.installerDirectory to another directory")
        ]
    }

    private func state(_ option: String, _ directory: String, _ table: MountTable) -> Finding {
        let remedy = "set \(option) to a directory on a persistent partition, or mount one there"
        switch table.storage(of: Files.resolved(directory)) {
        case .volatile(let mount):
            return .bad(
                "state",
                "\(directory) is in memory (\(mount.type) on \(mount.point)), so each reboot discards pending installations and history",
                remedy)
        case .readOnly(let mount):
            return .bad("state", "\(directory) is read-only (\(mount.type) on \(mount.point))", remedy)
        case .persistent(let mount):
            if let sign = signOfSlots, table.rootDevices.contains(mount.device) {
                return .bad(
                    "state", "\(directory) is on the slot of the root file system (\(sign)), so an update replaces it",
                    remedy)
            }
            return .ok("state", "on a persistent file system (\(mount.type) on \(mount.point))")
        case .unknown(let place):
            return .skip("state", "in \(place), which is not visible here: it must be on a persistent partition")
        }
    }

    /// Why an update replaces the whole root file system; nil if nothing says so.
    private var signOfSlots: String? {
        if ["image", "rauc", "swupdate"].contains(settings.install.module) {
            return "install.module is \(settings.install.module)"
        }
        // RAUC's own signs: its configuration, and what bootloaders pass on (rauc, "Slot detection").
        let configuration = ["/etc", "/run", "/usr/lib"].map { "\($0)/rauc/system.conf" }.first(where: Files.exists)
        if let configuration { return "\(configuration) exists" }
        let line = (try? Files.read("/proc/cmdline", limit: 65_536)).map { String(decoding: $0, as: UTF8.self) } ?? ""
        let argument = line.split { $0 == " " || $0 == "\n" }.first { argument in
            ["rauc.slot=", "bootchooser.active="].contains { argument.hasPrefix($0) }
        }
        return argument.map { "\($0) on the kernel's command line" }
    }

    var space: Finding {
        let directory = Files.resolved(settings.download.directory)
        var existing = directory
        while !Files.exists(existing), existing != "/" { existing = Files.directory(of: existing) }
        guard let free = try? Files.freeSpace(at: existing) else {
            return .bad("disk space", "\(existing) cannot be examined", "check download.directory")
        }
        let usable = free - settings.download.keepFree
        guard usable > 0 else {
            return .bad(
                "disk space",
                "\(describe(bytes: free)) are free in \(existing), and download.keepFree is \(describe(bytes: settings.download.keepFree))",
                "free some space, or set download.directory")
        }
        var memory = ""
        if case .volatile = MountTable.current.storage(of: directory) {
            memory = ", in memory: a larger artifact does not fit, and a reboot discards a download"
        }
        let text = "\(describe(bytes: usable)) for downloads in \(settings.download.directory)\(memory)"
        guard let needs = installationNeeds, !needs.isEmpty else { return .ok("disk space", text) }
        let places = needs.map { need in
            let bytes = need.bytes > 0 ? " and \(describe(bytes: need.bytes))" : ""
            return "\(need.percent) % of the artifact's size\(bytes) in \(need.directory)"
        }
        let largest = largestArtifact(needs, downloads: existing, usable)
        guard largest > 0 else {
            return .bad(
                "disk space", "no installation fits: it needs \(places.joined(separator: ", "))",
                "free some space there, or use other directories")
        }
        return .ok(
            "disk space",
            "artifacts up to \(describe(bytes: largest)): \(text); an installation needs \(places.joined(separator: ", "))"
        )
    }

    /// What an installation needs in addition to the download; nil if the installer cannot be asked.
    private var installationNeeds: [SpaceNeed]? {
        InstallerClient.askSpace(
            startingAt: "\(programs)/upgradelink-installer", arguments: root == "/" ? [] : ["--root", root], within: 20)
    }

    /// In bytes: what fits on each file system.
    private func largestArtifact(_ needs: [SpaceNeed], downloads: String, _ usable: ByteCount) -> ByteCount {
        /// The bytes that are usable on each file system, and the percentage that it needs of the artifact.
        var places: [UInt64: (usable: ByteCount, percent: ByteCount)] = [:]
        if let device = FileStatus(downloads)?.identity.device { places[device] = (usable, 100) }
        for need in needs {
            guard let device = FileStatus(need.directory)?.identity.device,
                let free = try? Files.freeSpace(at: need.directory)
            else { continue }
            let place = places[device] ?? (free - settings.download.keepFree, 0)
            places[device] = (place.usable - need.bytes, place.percent + ByteCount(need.percent))
        }
        return places.values.filter { $0.percent > 0 }.map { max(0, $0.usable) / $0.percent * 100 }.min() ?? usable
    }
}
