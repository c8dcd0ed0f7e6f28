import Host
import TestSupport
import Testing

/// The arrows of the architecture, read off the import lines: the package manager refuses an undeclared sibling, but not a
/// system module in the core.
@Suite struct ImportTests {
    /// What each target may import beside the Swift standard library.
    private static let allowed: [String: Set<String>] = [
        "UpdateCore": [],
        "UpgradeLinkAPI": ["UpdateCore", "FoundationEssentials"],
        "Host": [
            "UpdateCore", "CHost", "Glibc", "Dispatch", "FoundationEssentials",
        ],
        "Configuration": ["UpdateCore", "Host", "Glibc", "FoundationEssentials", "TOML"],
        "TOML": ["CTOML"],
        "Fetch": ["UpdateCore", "Host", "CCurl", "Glibc", "Synchronization", "FoundationEssentials"],
        "Verification": ["UpdateCore", "Host", "CCrypto", "Glibc", "FoundationEssentials"],
        "Installation": ["UpdateCore", "Host", "Verification", "FoundationEssentials"],
        "Systemd": ["UpdateCore", "Host", "CSystemd", "Glibc", "Logging"],
        "Agent": [
            "UpdateCore", "Host", "Configuration", "Systemd", "Glibc", "Logging", "FoundationEssentials",
        ],
        "DaemonProgram": [
            "Agent", "Configuration", "Host", "Systemd", "UpdateCore", "Glibc", "Logging", "ArgumentParser",
        ],
        "ControlProgram": [
            "Configuration", "Host", "Systemd", "UpdateCore", "Glibc", "FoundationEssentials", "ArgumentParser",
        ],
        "FetchProgram": ["Fetch", "UpgradeLinkAPI", "Verification", "Host", "UpdateCore", "Glibc"],
        "InstallerProgram": [
            "Installation", "Verification", "Configuration", "Host", "UpdateCore", "Glibc",
        ],
        "upgradelinkd": ["DaemonProgram"],
        "upgradelinkctl": ["ControlProgram"],
        "upgradelink-fetch": ["FetchProgram"],
        "upgradelink-installer": ["InstallerProgram"],
        "upgradelink": [
            "DaemonProgram", "ControlProgram", "FetchProgram", "InstallerProgram", "Host", "Glibc",
        ],
        "Fleet": ["UpdateCore"],
    ]

    private func imports(of target: String) throws -> [(file: String, module: String)] {
        let folder = "\(repositoryFolder)/Sources/\(target)"
        return try Files.list(folder).filter { $0.hasSuffix(".swift") }.flatMap { name in
            let text = String(decoding: try Files.read("\(folder)/\(name)", limit: 1 << 20), as: UTF8.self)
            return text.split(separator: "\n").compactMap { line -> (file: String, module: String)? in
                let words = line.split(separator: " ").drop {
                    $0.hasPrefix("@") || ["public", "package", "internal"].contains($0)
                }
                guard words.first == "import", let module = words.dropFirst().last else { return nil }
                return ("\(target)/\(name)", String(module.prefix { $0 != "." }))
            }
        }
    }

    @Test(arguments: allowed.keys.sorted())
    func importsPointDown(target: String) throws {
        let found = try imports(of: target)
        #expect(target == "UpdateCore" || !found.isEmpty)
        for (file, module) in found {
            #expect(Self.allowed[target]?.contains(module) == true, "\(file) imports \(module)")
        }
    }

    @Test func everyTargetHasItsArrows() throws {
        let others: Set = [
            "CHost", "CLibrary", "CCurl", "CCrypto", "CSystemd", "CTOML", "Simulator", "upgradelink-sim",
        ]
        #expect(Set(try Files.list("\(repositoryFolder)/Sources")) == others.union(Self.allowed.keys))
    }

    /// Words of Dispatch's queues and of Swift's tasks. The first use of a global queue, which a queue of one's own and a task
    /// need, starts a monitor that wakes up once a second for ever.
    private static let concurrency = [
        "Task {", "Task(", "Task.", "await ", "async ", "async throws", "withTaskGroup", "DispatchQueue(", ".global(",
        "concurrentPerform", "OperationQueue",
    ]

    /// The core has no clock and no chance of its own; what is installed works on Dispatch's main queue alone.
    @Test(arguments: allowed.keys.sorted())
    func someThingsAreNotUsed(target: String) throws {
        var words: [String] = []
        if target == "UpdateCore" {
            words += ["SystemRandomNumberGenerator", "ContinuousClock", "SuspendingClock", ".random(in: 0)"]
        }
        // The simulation is never on a device, and computes on every core.
        if target != "Fleet" { words += Self.concurrency }
        // The only place where the main queue's sources are made.
        let isMainQueue = { (name: String) in target == "Host" && name == "MainQueue.swift" }
        let folder = "\(repositoryFolder)/Sources/\(target)"
        for name in try Files.list(folder) where name.hasSuffix(".swift") {
            let text = String(decoding: try Files.read("\(folder)/\(name)", limit: 1 << 20), as: UTF8.self)
            for word in words + (isMainQueue(name) ? [] : ["DispatchSource", "DispatchQueue", "import Dispatch"])
            where target != "Fleet" || word != "import Dispatch" {
                #expect(!text.contains(word), "\(target)/\(name) has \(word)")
            }
        }
    }
}
