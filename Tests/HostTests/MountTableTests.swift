import Host
import Testing

/// Where files are stored, as the kernel's mount table says.
@Suite struct MountTableTests {
    private func kind(_ path: String, _ lines: String..., sees: Bool = true) -> String {
        switch MountTable(parsing: lines.joined(separator: "\n")).storage(of: path, exists: { _ in sees }) {
        case .persistent(let mount): "persistent \(mount.point)"
        case .volatile(let mount): "volatile \(mount.point)"
        case .readOnly(let mount): "read-only \(mount.point)"
        case .unknown(let path): "unknown \(path)"
        }
    }

    private let root = "20 1 179:2 / / rw,relatime shared:1 - ext4 /dev/mmcblk0p2 rw"
    private let readOnlyRoot = "20 1 179:2 / / ro,relatime shared:1 - squashfs /dev/mmcblk0p2 ro,errors=continue"
    private let data = "21 20 179:5 / /data rw,relatime shared:2 - ext4 /dev/mmcblk0p5 rw"

    /// Directories that are bind-mounted are linked by their paths on the file system itself.
    @Test(arguments: [
        ("/var/cache/a", "/var/lib/b/tree", "/data/cache/a", "/data/lib/b/tree"),
        ("/data/cache/a", "/var/lib/b", "/data/cache/a", "/data/lib/b"),
        ("/var/cache", "/var/cache/x", "/data/cache", "/data/cache/x"),
    ])
    func bindMountsOfOneFileSystem(one: String, other: String, first: String, second: String) {
        let lines = [
            "1 0 8:1 / / rw - ext4 /dev/sda1 rw", "2 1 8:2 / /data rw - ext4 /dev/sda2 rw",
            "3 1 8:2 /cache /var/cache rw - ext4 /dev/sda2 rw", "4 1 8:2 /lib/b /var/lib/b rw - ext4 /dev/sda2 rw",
        ]
        let paths = MountTable(parsing: lines.joined(separator: "\n")).pathsOnOneMount(one, other)
        #expect(paths?.0 == first && paths?.1 == second)
    }

    /// Another device, no mount that has both, one that is hidden, and a read-only one.
    @Test(arguments: [
        ["2 1 8:3 / /var/lib/b rw - ext4 /dev/sda3 rw"],
        ["2 1 8:1 /other /var/lib/b rw - ext4 /dev/sda1 rw", "3 1 8:4 / /other rw - tmpfs tmpfs rw"],
        ["2 1 8:1 /other /var/lib/b ro - ext4 /dev/sda1 rw", "3 1 8:4 / /other rw - tmpfs tmpfs rw"],
        // The one mount that has both is read-only.
        [
            "2 1 8:2 / /both ro - ext4 /dev/sda2 ro", "3 1 8:2 /a /var/cache rw - ext4 /dev/sda2 rw",
            "4 1 8:2 /b /var/lib/b rw - ext4 /dev/sda2 rw",
        ],
    ])
    func noMountHasBoth(lines: [String]) {
        let table = MountTable(parsing: (["1 0 8:1 / / rw - ext4 /dev/sda1 rw"] + lines).joined(separator: "\n"))
        #expect(table.pathsOnOneMount("/var/cache", "/var/lib/b") == nil)
    }

    @Test func theLongestMountPointCounts() {
        #expect(kind("/var/lib/x", root) == "persistent /")
        #expect(kind("/data/x", root, data) == "persistent /data")
        #expect(kind("/database/x", root, data) == "persistent /")
        #expect(kind("/var/lib/x", readOnlyRoot, data) == "read-only /")
        // Bound from another file system, below a directory that is in memory.
        let memory = "22 20 0:31 / /var rw,nosuid - tmpfs tmpfs rw,size=65536k"
        let bound = "23 22 179:5 /upgrade /var/lib/x rw - ext4 /dev/mmcblk0p5 rw"
        #expect(kind("/var/lib/x/y", root, memory) == "volatile /var")
        #expect(kind("/var/lib/x/y", root, memory, bound) == "persistent /var/lib/x")
        #expect(kind("/var/lib/z", root, memory, bound) == "volatile /var")
    }

    @Test func aLaterMountHidesAnEarlierOne() {
        let memory = "22 21 0:31 / /data rw - tmpfs none rw"
        #expect(kind("/data/x", root, data, memory) == "volatile /data")
    }

    @Test func everyKindOfMemoryIsKnown() {
        for line in [
            "22 20 0:31 / /s rw - tmpfs none rw", "22 20 0:31 / /s rw master:1 propagate_from:2 - ramfs none rw",
            "22 20 254:0 / /s rw - ext4 /dev/zram0 rw", "22 20 1:0 / /s rw - ext4 /dev/ram0 rw",
        ] {
            #expect(kind("/s/x", root, line) == "volatile /s")
        }
        #expect(kind("/x", "1 1 0:2 / / rw - rootfs rootfs rw") == "volatile /")
    }

    @Test func anOverlayIsWhereItsChangesAre() {
        let overlay =
            "24 1 0:40 / / rw - overlay overlay rw,lowerdir=/media/lower,upperdir=/media/upper/root,workdir=/media/w"
        let memory = "25 24 0:41 / /media/upper rw - tmpfs tmpfs rw"
        let disk = "25 24 179:5 / /media/upper rw - ext4 /dev/mmcblk0p5 rw"
        #expect(kind("/var/lib/x", overlay, memory) == "volatile /media/upper")
        #expect(kind("/var/lib/x", overlay, disk) == "persistent /media/upper")
        // The file system of its changes is not visible any more.
        #expect(kind("/var/lib/x", overlay, sees: false) == "unknown /media/upper/root")
        #expect(kind("/var/lib/x", overlay, sees: true) == "unknown /media/upper/root")
        let hidden = "24 1 0:40 / / rw - overlay o rw,lowerdir=/l,upperdir=/run/systemd/overlay-sysroot/upper"
        #expect(kind("/var/lib/x", hidden, "25 24 0:41 / /run rw - tmpfs tmpfs rw", sees: false) == "volatile /run")
        #expect(kind("/x", "24 1 0:40 / / rw - overlay overlay rw,lowerdir=/a:/b") == "read-only /")
        // /etc on an overlay, its changes on the overlay of the whole system.
        let nested = "26 24 0:42 / /etc rw - overlay overlay rw,lowerdir=/etc,upperdir=/var/etc,workdir=/var/w"
        #expect(kind("/etc/x", overlay, memory, nested) == "volatile /media/upper")
    }

    @Test func theDevicesOfTheRootFileSystemAreKnown() {
        #expect(MountTable(parsing: root).rootDevices == ["179:2"])
        let overlay = "24 1 0:40 / / rw - overlay overlay rw,lowerdir=/lower,upperdir=/data/u,workdir=/data/w"
        let lower = "25 24 179:2 / /lower ro - squashfs /dev/mmcblk0p2 ro"
        #expect(MountTable(parsing: [overlay, lower, data].joined(separator: "\n")).rootDevices == ["179:2"])
    }

    @Test func theOptionsOfAMountAreKnown() {
        let table = MountTable(
            parsing:
                "20 1 8:1 / / rw,noexec - ext4 /dev/sda1 rw\n21 20 8:2 / /ro rw - ext4 /dev/sda2 ro\n22 20 8:3 / /x rw - ext4 /dev/sda3 rw"
        )
        #expect(table.mount(of: "/a")?.isNoExec == true && table.mount(of: "/x")?.isNoExec == false)
        #expect(table.mount(of: "/ro/a")?.isReadOnly == true && table.mount(of: "/x/a")?.isReadOnly == false)
        #expect(table.mount(of: "/x")?.device == "8:3" && table.mount(of: "/x")?.type == "ext4")
        #expect(table.mount(of: "/")?.point == "/" && table.mount(of: "/row")?.point == "/")
    }

    @Test func aDirectoryInMemoryCausesAWarning() throws {
        let table = MountTable(parsing: "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 0:9 / /proc rw - tmpfs tmpfs rw")
        #expect(
            table.warnings(about: "/nonexistent", "/proc") == [
                "/proc is in memory (tmpfs on /proc): a reboot discards pending installations and history"
            ])
    }

    /// An overlay on itself ends after some steps.
    @Test func anEndlessOverlayIsUnknown() {
        #expect(kind("/a", "24 1 0:40 / / rw - overlay o rw,lowerdir=/l,upperdir=/u") == "unknown /u")
    }

    @Test func namesAreUnescapedAndNonsenseIsSkipped() {
        #expect(kind("/my data/x", root, "21 20 8:1 / /my\\040data rw - tmpfs a\\040b rw") == "volatile /my data")
        #expect(kind("/x", "nonsense", "1 2 3", "", "21 20 8:1 / / rw -", root) == "persistent /")
        #expect(kind("/x", "") == "unknown /x")
    }
}
