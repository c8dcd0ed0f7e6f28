import Glibc

/// A mounted file system.
public struct Mount: Hashable, Sendable {
    /// `major:minor` of its device; a number of its own for a file system without a device.
    public let device: String
    /// The directory of the file system that is mounted; `/` unless it is a bind mount or a subvolume.
    let root: String
    /// The directory that it is mounted on.
    public let point: String
    /// `ext4`, `tmpfs`, `overlay`, …
    public let type: String
    let source: String
    let options: [String]

    public var isReadOnly: Bool { options.contains("ro") }
    /// No program on it can be executed (mount(8)).
    public var isNoExec: Bool { options.contains("noexec") }

    /// Whether it loses its files with the power: it is in memory.
    var isVolatile: Bool {
        ["tmpfs", "ramfs", "rootfs", "devtmpfs"].contains(type) || source.hasPrefix("/dev/zram")
            || source.hasPrefix("/dev/ram")
    }

    /// Where the file system itself has a path of this mount.
    fileprivate func place(of path: String) -> String { Self.joined(root, Self.rest(of: path, below: point) ?? "") }

    /// The path by which this mount has what is at a place in the file system; nil if it does not have it.
    fileprivate func path(of place: String) -> String? {
        Self.rest(of: place, below: root).map { Self.joined(point, $0) }
    }

    /// What follows a directory in a path: empty, or beginning with a slash. Nil if the path is somewhere else.
    private static func rest(of path: String, below directory: String) -> String? {
        if directory == "/" { return path == "/" ? "" : path }
        guard path == directory || path.hasPrefix("\(directory)/") else { return nil }
        return String(path.dropFirst(directory.count))
    }

    private static func joined(_ directory: String, _ rest: String) -> String {
        directory == "/" && !rest.isEmpty ? rest : directory + rest
    }

    /// Of an overlay: where changes are stored.
    var upper: String? { options("upperdir").first }
    /// Of an overlay: the directories that it shows below the changes.
    var lower: [String] {
        options("lowerdir").flatMap { $0.split(separator: ":").map(String.init) } + options("lowerdir+")
    }

    private func options(_ name: String) -> [String] {
        options.filter { $0.hasPrefix("\(name)=") }.map { String($0.dropFirst(name.count + 1)) }
    }
}

/// The mounted file systems that a process sees.
public struct MountTable: Sendable {
    let mounts: [Mount]

    /// - Parameter text: the content of `/proc/PID/mountinfo` (proc(5)). Lines that cannot be read are skipped.
    public init(parsing text: String) {
        mounts = text.split(separator: "\n").compactMap(Self.mount)
    }

    /// What this process sees; empty without /proc.
    public static var current: MountTable {
        let bytes = (try? Files.read("/proc/self/mountinfo", limit: 4 << 20)) ?? []
        return MountTable(parsing: String(decoding: bytes, as: UTF8.self))
    }

    // 36 35 98:0 /root /point rw,noatime master:1 - ext4 /dev/sda1 rw,errors=continue
    private static func mount(_ line: Substring) -> Mount? {
        let fields = line.split(separator: " ")
        guard let separator = fields.firstIndex(of: "-"), separator >= 6, fields.count >= separator + 4 else {
            return nil
        }
        let options = fields[5].split(separator: ",") + fields[separator + 3].split(separator: ",")
        return Mount(
            device: String(fields[2]), root: unescaped(fields[3]), point: unescaped(fields[4]),
            type: String(fields[separator + 1]),
            source: unescaped(fields[separator + 2]), options: options.map(unescaped))
    }

    /// The kernel writes a blank and similar bytes as `\` and three octal digits.
    private static func unescaped(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), rest.count >= 3,
                let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
            {
                bytes.append(code)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The file system that contains a path, which has no links and need not exist.
    public func mount(of path: String) -> Mount? {
        var found: Mount?
        for mount in mounts
        where mount.point == "/" || path == mount.point || path.hasPrefix("\(mount.point)/") {
            // A later mount on the same directory hides an earlier one.
            if mount.point.utf8.count >= (found?.point.utf8.count ?? 0) { found = mount }
        }
        return found
    }

    /// Other paths of two directories of one file system, on which they are on one mount: a file can then be linked and renamed from
    /// one to the other. With bind mounts, the paths by which programs know them can be on different ones.
    ///
    /// - Returns: nil if there is no such mount. The paths have no links.
    public func pathsOnOneMount(_ one: String, _ other: String) -> (String, String)? {
        guard let first = mount(of: one), let second = mount(of: other), first.device == second.device else {
            return nil
        }
        let places = (first.place(of: one), second.place(of: other))
        for mount in mounts where mount.device == first.device && !mount.isReadOnly {
            guard let path = mount.path(of: places.0), let otherPath = mount.path(of: places.1) else { continue }
            // Something else may be mounted above.
            if self.mount(of: path) == mount, self.mount(of: otherPath) == mount { return (path, otherPath) }
        }
        return nil
    }

    /// Where a path's files are stored.
    public enum Storage: Hashable, Sendable {
        case persistent(Mount)
        /// A power cut or a reboot empties it.
        case volatile(Mount)
        case readOnly(Mount)
        /// An overlay that stores changes in a directory that this process does not see, or nothing is known.
        case unknown(String)
    }

    /// - Parameters:
    ///   - path: has no links and need not exist.
    ///   - exists: whether this process sees a directory.
    public func storage(of path: String, exists: (String) -> Bool = Files.exists) -> Storage {
        var path = path
        // An overlay may store its changes on another overlay.
        for _ in 0..<8 {
            guard let mount = mount(of: path) else { return .unknown(path) }
            if mount.isReadOnly { return .readOnly(mount) }
            guard mount.type == "overlay" else { return mount.isVolatile ? .volatile(mount) : .persistent(mount) }
            guard let upper = mount.upper else { return .readOnly(mount) }
            // A process that started before may have mounted the overlay and hidden its directories. /run is always in memory:
            // systemd.volatile=overlay stores the changes there.
            guard exists(upper) || upper.hasPrefix("/run/") else { return .unknown(upper) }
            path = upper
        }
        return .unknown(path)
    }

    /// A line for each directory that is in memory.
    public func warnings(about directories: String...) -> [String] {
        directories.compactMap { directory in
            guard case .volatile(let mount) = storage(of: Files.resolved(directory)) else { return nil }
            return
                "\(directory) is in memory (\(mount.type) on \(mount.point)): a reboot discards pending installations and history"
        }
    }

    /// The devices that an update of the root file system replaces.
    public var rootDevices: Set<String> {
        guard let root = mount(of: "/") else { return [] }
        guard root.type == "overlay" else { return [root.device] }
        return Set(root.lower.compactMap { mount(of: $0) }.filter { $0 != root }.map(\.device))
    }
}

extension Files {
    /// The path without links, as far as it exists.
    public static func resolved(_ path: String) -> String {
        var existing = path
        var rest = ""
        while existing.hasPrefix("/"), existing != "/" {
            if let found = realpath(existing, nil) {
                defer { free(found) }
                let resolved = String(cString: found)
                return (resolved == "/" ? "" : resolved) + rest
            }
            let above = directory(of: existing)
            rest = "/\(existing.dropFirst(above == "/" ? 1 : above.count + 1))\(rest)"
            existing = above
        }
        return rest.isEmpty ? path : rest
    }
}
