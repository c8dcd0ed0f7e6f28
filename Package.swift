// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// The agent runs on the main queue: the declarations of its target belong to the main actor.
let mainQueue: [SwiftSetting] = strict + [.defaultIsolation(MainActor.self)]

/// The tests explore millions of decisions: optimized, they take a quarter of the time. The debug configuration keeps what else it has.
let optimized: [SwiftSetting] = strict + [.unsafeFlags(["-O"], .when(configuration: .debug))]

/// Where `long` has 32 bits, the C library's sizes, offsets and times have 64 bits only with these macros. They change nothing
/// where it has 64. Swift's module of the C library is made without them: CHost/include/WideFiles.h.
let wide: [CSetting] = [.define("_FILE_OFFSET_BITS", to: "64"), .define("_TIME_BITS", to: "64")]

let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")
let subprocess: Target.Dependency = .product(name: "Subprocess", package: "swift-subprocess")

let package = Package(
    name: "upgradelinkd",
    products: [
        .executable(name: "upgradelinkd", targets: ["upgradelinkd"]),
        .executable(name: "upgradelinkctl", targets: ["upgradelinkctl"]),
        .executable(name: "upgradelink-fetch", targets: ["upgradelink-fetch"]),
        .executable(name: "upgradelink-installer", targets: ["upgradelink-installer"]),
        .executable(name: "upgradelink", targets: ["upgradelink"]),
        .executable(name: "upgradelink-module", targets: ["upgradelink-module"]),
        .executable(name: "upgradelink-sim", targets: ["upgradelink-sim"]),
        // Preloaded by tests that set a process's clock.
        .library(name: "fakeclock", type: .dynamic, targets: ["FakeClock"]),
        // Preloaded by tests that simulate a failing disk.
        .library(name: "faultydisk", type: .dynamic, targets: ["FaultyDisk"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", exact: "1.0.2", traits: []),
        .package(url: "https://github.com/apple/swift-system", exact: "1.8.1"),
        .package(url: "https://github.com/swhitty/FlyingFox", exact: "0.27.1"),
    ],
    targets: [
        // The core makes decisions only.
        .target(name: "UpdateCore", swiftSettings: optimized + [.strictMemorySafety()]),

        // C: module maps, and shims for what Swift cannot call (variadic functions, macros).
        .target(name: "CHost", cSettings: wide),
        // Loads libcurl and libcrypto when they are first needed: the agent itself needs neither.
        .target(name: "CLibrary", cSettings: wide),
        .target(name: "CCurl", dependencies: ["CLibrary"], cSettings: wide),
        .target(name: "CCrypto", dependencies: ["CLibrary"], cSettings: wide),
        .systemLibrary(name: "CSystemd", providers: [.apt(["libsystemd-dev"])]),
        // toml++ (libtomlplusplus-dev) with a C interface, and its Swift interface.
        .target(name: "CTOML"),
        .target(name: "TOML", dependencies: ["CTOML"], swiftSettings: strict),

        // Adapters: each imports the core and Host, and no other adapter. Installation also imports Verification, because it
        // installs nothing but a `VerifiedArtifact`.
        .target(name: "UpgradeLinkAPI", dependencies: ["UpdateCore"], swiftSettings: strict),
        .target(
            name: "Host",
            dependencies: [
                "UpdateCore", "CHost",
            ], swiftSettings: strict),
        .target(name: "Configuration", dependencies: ["UpdateCore", "Host", "TOML"], swiftSettings: strict),
        .target(name: "Fetch", dependencies: ["UpdateCore", "Host", "CCurl"], swiftSettings: strict),
        .target(name: "Verification", dependencies: ["UpdateCore", "Host", "CCrypto"], swiftSettings: strict),
        .target(
            name: "Installation", dependencies: ["UpdateCore", "Host", "Verification"], swiftSettings: strict),
        .target(name: "Systemd", dependencies: ["UpdateCore", "Host", "CSystemd", logging], swiftSettings: strict),
        // The update modules that are part of the one program.
        .target(name: "Modules", dependencies: ["UpdateCore", "Host"], swiftSettings: strict),

        // What the agent needs on a device: the agent, upgradelinkd --check-config and upgradelinkctl doctor check it.
        .target(
            name: "DeviceChecks", dependencies: ["UpdateCore", "Host", "Configuration", "Systemd"],
            swiftSettings: strict),

        .target(
            name: "Agent",
            dependencies: ["UpdateCore", "Host", "Configuration", "DeviceChecks", "Systemd", logging],
            swiftSettings: mainQueue),

        // The programs, each with one entry point.
        .target(
            name: "DaemonProgram",
            dependencies: [
                "Agent", "Configuration", "DeviceChecks", "Host", "Systemd", "UpdateCore", logging, arguments,
            ],
            swiftSettings: strict),
        .target(
            name: "ControlProgram",
            dependencies: [
                "Configuration", "DeviceChecks", "Host", "Systemd", "UpdateCore", "Verification", arguments,
            ],
            swiftSettings: strict),
        .target(
            name: "FetchProgram", dependencies: ["Fetch", "UpgradeLinkAPI", "Verification", "Host", "UpdateCore"],
            swiftSettings: strict),
        .target(
            name: "InstallerProgram",
            dependencies: ["Installation", "Verification", "Configuration", "Host", "UpdateCore"],
            swiftSettings: strict),
        // The executables for tests and demonstrations, and the one file with all programs, which is installed.
        .executableTarget(name: "upgradelinkd", dependencies: ["DaemonProgram"], swiftSettings: strict),
        .executableTarget(name: "upgradelinkctl", dependencies: ["ControlProgram"], swiftSettings: strict),
        .executableTarget(name: "upgradelink-fetch", dependencies: ["FetchProgram"], swiftSettings: strict),
        .executableTarget(name: "upgradelink-installer", dependencies: ["InstallerProgram"], swiftSettings: strict),
        .executableTarget(name: "upgradelink-module", dependencies: ["Modules"], swiftSettings: strict),
        .executableTarget(
            name: "upgradelink",
            dependencies: ["DaemonProgram", "ControlProgram", "FetchProgram", "InstallerProgram", "Modules", "Host"],
            swiftSettings: strict),

        // Writes the documents about the options from the schema; in no installed program.
        .target(name: "Reference", dependencies: ["Configuration"], swiftSettings: strict),

        // For demonstrations, tests and integrators; never on a device.
        .target(
            name: "Simulator",
            dependencies: [
                "FlyingFox", .product(name: "FlyingSocks", package: "FlyingFox"), "TOML", "CCrypto", "Host",
                subprocess,
                system,
            ], swiftSettings: strict),
        // Simulates a million devices in virtual time, with the core only.
        .target(name: "Fleet", dependencies: ["UpdateCore"], swiftSettings: optimized),
        .executableTarget(
            name: "upgradelink-sim",
            dependencies: [
                "Fleet", "Simulator", "Host", "Systemd", "UpdateCore", arguments, subprocess, system,
            ],
            swiftSettings: strict),

        // Tests: one directory for each target.
        // These two are also preloaded into programs that are built without a sanitizer.
        .target(
            name: "FakeClock", path: "Tests/FakeClock", cSettings: [.unsafeFlags(["-fno-sanitize=all"])]),
        .target(
            name: "FaultyDisk", path: "Tests/FaultyDisk", cSettings: [.unsafeFlags(["-fno-sanitize=all"])]),
        .testTarget(
            name: "UpdateCoreTests", dependencies: ["UpdateCore", "Host", "TestSupport"], swiftSettings: optimized),
        .testTarget(
            name: "UpgradeLinkAPITests", dependencies: ["UpgradeLinkAPI", "UpdateCore", "Verification"],
            swiftSettings: strict),
        .target(
            name: "TestSupport", dependencies: ["Host", "Simulator", "UpdateCore", subprocess, system],
            path: "Tests/TestSupport", swiftSettings: strict),
        .testTarget(name: "HostTests", dependencies: ["Host", "UpdateCore", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "ModulesTests",
            dependencies: [
                "upgradelink-module", "upgradelink", "Modules", "Host", "Simulator", "TestSupport", subprocess, system,
            ],
            swiftSettings: strict),
        .testTarget(name: "TOMLTests", dependencies: ["TOML"], swiftSettings: strict),
        .testTarget(
            name: "ConfigurationTests",
            dependencies: ["Configuration", "Reference", "Host", "UpdateCore", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "SystemdTests", dependencies: ["Systemd", logging, "Host", "Simulator", "TestSupport", "UpdateCore"],
            swiftSettings: strict),
        .testTarget(
            name: "DeviceCheckTests",
            dependencies: ["DeviceChecks", "Host", "Systemd", "TestSupport", "UpdateCore"],
            swiftSettings: strict),
        .testTarget(
            name: "VerificationTests",
            dependencies: ["Verification", "Host", "UpdateCore", "Simulator", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "ArchitectureTests", dependencies: ["Host", "Simulator", "TestSupport", "UpdateCore"],
            swiftSettings: strict),
        .testTarget(
            name: "FetchTests",
            dependencies: ["upgradelink-fetch", "Fetch", "Host", "UpdateCore", "Simulator", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "InstallationTests",
            dependencies: [
                "upgradelink-installer", "upgradelink-module", "InstallerProgram", "Installation", "Configuration",
                "Verification", "Host",
                "UpdateCore", "Simulator", "TestSupport", subprocess, system,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "SimulatorTests",
            dependencies: ["Fleet", "upgradelink-sim", "Simulator", "Host", "TestSupport", subprocess, system],
            swiftSettings: strict),
        .testTarget(
            name: "ControlTests",
            dependencies: [
                "upgradelinkctl", "upgradelinkd", "upgradelink-fetch", "upgradelink-installer", "upgradelink-module",
                "Host", "Simulator",
                "TestSupport", "UpdateCore", subprocess, system,
            ], swiftSettings: strict),
        // The files that earlier releases stored are in Tests/Formats.
        .testTarget(
            name: "FormatTests",
            dependencies: ["Agent", "DeviceChecks", "Fetch", "Installation", "Host", "UpdateCore", "TestSupport"],
            swiftSettings: strict),
        // The functions that the fuzzer calls, its program, and a test with its seeds.
        .target(
            name: "FuzzTargets",
            dependencies: [
                "Agent", "Configuration", "Host", "Installation", "Systemd", "UpdateCore", "UpgradeLinkAPI",
                "Verification",
            ], path: "Tests/FuzzTargets", swiftSettings: strict),
        .executableTarget(
            name: "upgradelink-fuzz", dependencies: ["FuzzTargets"], path: "Tests/Fuzz", swiftSettings: strict),
        .testTarget(
            name: "FuzzTargetTests", dependencies: ["FuzzTargets", "Host", "TestSupport", "UpdateCore"],
            swiftSettings: strict),
        .testTarget(
            name: "SystemTests",
            dependencies: [
                "upgradelinkd", "upgradelinkctl", "upgradelink-fetch", "upgradelink-installer", "upgradelink-sim",
                "Host", "UpdateCore",
                "Simulator", "TestSupport", subprocess, system,
            ], swiftSettings: strict),
        .testTarget(
            name: "AgentTests",
            dependencies: [
                "upgradelinkd", "upgradelink-fetch", "upgradelink-installer", "upgradelink-module", "Agent",
                "Configuration", "DeviceChecks", "Host",
                "UpdateCore",
                "Simulator", "TestSupport", subprocess, system,
            ], swiftSettings: strict),
    ],
    cxxLanguageStandard: .cxx17
)
