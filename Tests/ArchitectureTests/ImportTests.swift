import Host
import TestSupport
import Testing

/// Checks the import lines against the architecture. The package manager refuses an undeclared target, but not a system
/// module in the core.
@Suite struct ImportTests {
    /// What each target may import in addition to the Swift standard library.
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
        "Modules": ["UpdateCore", "Host", "Glibc"],
        "DeviceChecks": ["UpdateCore", "Host", "Configuration", "Systemd", "Glibc", "FoundationEssentials"],
        "Agent": [
            "UpdateCore", "Host", "Configuration", "DeviceChecks", "Systemd", "Glibc", "Logging",
            "FoundationEssentials",
        ],
        "DaemonProgram": [
            "Agent", "Configuration", "DeviceChecks", "Host", "Systemd", "UpdateCore", "Glibc", "Logging",
            "ArgumentParser",
        ],
        "ControlProgram": [
            "Configuration", "DeviceChecks", "Host", "Systemd", "UpdateCore", "Verification", "Glibc",
            "FoundationEssentials", "ArgumentParser", "Synchronization",
        ],
        "FetchProgram": ["Fetch", "UpgradeLinkAPI", "Verification", "Host", "UpdateCore", "Glibc"],
        "InstallerProgram": [
            "Installation", "Verification", "Configuration", "Host", "UpdateCore", "Glibc",
        ],
        "upgradelinkd": ["DaemonProgram"],
        "upgradelinkctl": ["ControlProgram"],
        "upgradelink-fetch": ["FetchProgram"],
        "upgradelink-installer": ["InstallerProgram"],
        "upgradelink-module": ["Modules"],
        "upgradelink": [
            "DaemonProgram", "ControlProgram", "FetchProgram", "InstallerProgram", "Modules", "Host", "Glibc",
        ],
        "Fleet": ["UpdateCore"],
        "Reference": ["Configuration"],
    ]

    private func imports(of target: String) throws -> [(file: String, module: String)] {
        let directory = "\(repositoryDirectory)/Sources/\(target)"
        return try Files.list(directory).filter { $0.hasSuffix(".swift") }.flatMap { name in
            let text = String(decoding: try Files.read("\(directory)/\(name)", limit: 1 << 20), as: UTF8.self)
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

    @Test func everyTargetIsListed() throws {
        let others: Set = [
            "CHost", "CLibrary", "CCurl", "CCrypto", "CSystemd", "CTOML", "Simulator", "upgradelink-sim",
        ]
        #expect(Set(try Files.list("\(repositoryDirectory)/Sources")) == others.union(Self.allowed.keys))
    }

    /// Names of Dispatch's queues and of Swift's tasks. A private queue and a task need a global queue; its first use starts a
    /// monitor that wakes up every second.
    private static let concurrency = [
        "Task {", "Task(", "Task.", "await ", "async ", "async throws", "withTaskGroup", "DispatchQueue(", ".global(",
        "concurrentPerform", "OperationQueue",
    ]

    /// The core has no clock and no random numbers of its own. The installed programs use Dispatch's main queue only.
    @Test(arguments: allowed.keys.sorted())
    func forbiddenNamesAreNotUsed(target: String) throws {
        var words: [String] = []
        if target == "UpdateCore" {
            words += ["SystemRandomNumberGenerator", "ContinuousClock", "SuspendingClock", ".random(in: 0)"]
        }
        // The simulation never runs on a device, and uses all processors.
        if target != "Fleet" { words += Self.concurrency }
        // Only this file makes the main queue's sources.
        let isMainQueue = { (name: String) in target == "Host" && name == "MainQueue.swift" }
        let directory = "\(repositoryDirectory)/Sources/\(target)"
        for name in try Files.list(directory) where name.hasSuffix(".swift") {
            let text = String(decoding: try Files.read("\(directory)/\(name)", limit: 1 << 20), as: UTF8.self)
            for word in words + (isMainQueue(name) ? [] : ["DispatchSource", "DispatchQueue", "import Dispatch"])
            where target != "Fleet" || word != "import Dispatch" {
                #expect(!text.contains(word), "\(target)/\(name) has \(word)")
            }
        }
    }
}
