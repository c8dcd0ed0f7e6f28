import Glibc
import Host
import Simulator
import TestSupport
import Testing
import UpdateCore

/// The C targets, compiled as for the machine of this test and for 32 bits, and run with files of 5 GiB and dates in 2100.
///
/// What is not covered: the real libcurl, libcrypto and libsystemd for 32 bits, and Swift itself.
@Suite struct ShimTests {
    enum Width: String, CaseIterable {
        case native
        case narrow = "32 bits"

        var flags: [String] { self == .narrow ? ["-m32"] : [] }
    }

    private let scratch: Scratch
    private static let sources = "\(repositoryDirectory)/Sources"
    private static let programs = "\(repositoryDirectory)/Tests/Shims"
    private static let headers = ["CHost", "CLibrary", "CCurl", "CCrypto", "CTOML"].flatMap {
        ["-I", "\(sources)/\($0)/include"]
    }
    /// The headers of libcurl and OpenSSL, and the kernel's, are the same for both. -idirafter, because those of the C library are
    /// not.
    private static let system = ["-idirafter", "/usr/include/x86_64-linux-gnu"]
    /// CTOML.h has an attribute for Swift's compiler.
    private static let strict = ["-O1", "-Wall", "-Wextra", "-Werror", "-Wno-attributes"]
    private static let wide = ["-D_FILE_OFFSET_BITS=64", "-D_TIME_BITS=64"]

    init() throws { scratch = try Scratch() }

    /// Nil if this machine can build and run programs of this width, else why it cannot.
    private static func obstacle(_ width: Width) -> String? {
        guard width == .narrow else { return nil }
        #if arch(x86_64)
            let compilers = "/usr/lib/gcc/x86_64-linux-gnu"
            let isComplete =
                Files.exists("/usr/include/x86_64-linux-gnu/gnu/stubs-32.h")
                && ((try? Files.list(compilers)) ?? []).contains { Files.exists("\(compilers)/\($0)/32/libstdc++.so") }
            return isComplete
                ? nil : "gcc -m32 needs libc6-dev-i386 and lib32stdc++-…-dev: packaging/dependencies.sh test"
        #else
            return "gcc -m32 is for x86-64"
        #endif
    }

    /// The widths for which programs can be run here; says why one is left out.
    private static let widths: [Width] = Width.allCases.filter { width in
        guard let obstacle = obstacle(width) else { return true }
        print("skipped: the C targets with \(width.rawValue): \(obstacle)")
        return false
    }

    private func compile(_ width: Width, _ arguments: [String], wide: [String] = wide) async throws {
        let isCpp = arguments.contains { $0.hasSuffix(".cpp") }
        try await execute(
            isCpp ? "g++" : "gcc",
            width.flags + (isCpp ? ["-std=c++17"] : ["-std=gnu17"]) + Self.strict + wide + Self.headers + Self.system
                + arguments)
    }

    private func files(_ target: String) throws -> [String] {
        try Files.list("\(Self.sources)/\(target)").filter { $0.hasSuffix(".c") }.map {
            "\(Self.sources)/\(target)/\($0)"
        }
    }

    private func program(_ name: String, _ width: Width, _ targets: String...) async throws -> String {
        let program = "\(scratch.path)/\(name)"
        try await compile(
            width, ["-o", program, "\(Self.programs)/\(name).c"] + targets.flatMap { try files($0) } + ["-ldl"])
        return program
    }

    @Test(arguments: widths, ["CHost", "CLibrary", "CCurl", "CCrypto"])
    func eachTargetCompilesWithoutAWarning(width: Width, target: String) async throws {
        let files = try files(target)
        #expect(!files.isEmpty)
        for file in files { try await compile(width, ["-c", "-o", "\(scratch.path)/\(target).o", file]) }
    }

    /// Without the macros, a file of 2 GiB could not be opened. The sources say so at the build.
    @Test(.enabled(if: widths.contains(.narrow))) func withoutTheMacrosNothingIsBuilt() async throws {
        for file in ["CHost", "WideFiles", "WideTimes"] {
            for macros in [[], ["-D_FILE_OFFSET_BITS=64"]] {
                await #expect(throws: (any Error).self, "\(file) \(macros)") {
                    try await compile(
                        .narrow, ["-c", "-o", "\(scratch.path)/x.o", "\(Self.sources)/CHost/\(file).c"], wide: macros)
                }
            }
        }
    }

    @Test(arguments: widths) func filesMayHaveFiveGibibytesAndTimesAfter2038(width: Width) async throws {
        let program = try await program("files", width, "CHost")
        let directory = "\(scratch.path)/directory"
        try Files.createDirectory(directory)
        let output = try await execute("env", [program, directory])
        let numbers = output.split { $0 == " " || $0 == "\n" }.compactMap { ByteCount($0) }
        try #require(numbers.count == 3, "\(output)")
        // What this process, which has 64 bits, sees.
        let status = try #require(FileStatus("\(directory)/large"))
        #expect(status.size == 5 << 30 && status.size == numbers[0])
        #expect(status.modified == WallTime(unixSeconds: 4_102_444_800.5) && numbers[1] == 4_102_444_800)
        let free = try Files.freeSpace(at: directory)
        #expect(abs(free - numbers[2]) < free / 4 + (1 << 30))
    }

    @Test(arguments: widths) func datesAfter2038AreRight(width: Width) async throws {
        let program = try await program("times", width, "CHost")
        let output = try await execute("env", [program])
        let shown = try #require(Seconds(output.filter { $0.isNumber }), "\(output)")
        #expect(abs(shown - Clock.wallTime.unixSeconds) < 60)
    }

    /// libcurl gets a size as curl_off_t, which has 64 bits everywhere, and a number as long.
    @Test(arguments: widths) func libcurlGetsWholeNumbers(width: Width) async throws {
        try await compile(
            width,
            [
                "-shared", "-fPIC", "-DCURL_DISABLE_TYPECHECK", "-o", "\(scratch.path)/libcurl.so.4",
                "\(Self.programs)/libcurl.c",
            ])
        let program = try await program("curl", width, "CCurl", "CLibrary")
        let output = try await execute("env", ["LD_LIBRARY_PATH=\(scratch.path)", program])
        #expect(output.split(separator: "\n") == ["30120 5368709121", "19 2147483647", "99 1"])
    }

    @Test(arguments: widths) func tomlHasIntegersOf64Bits(width: Width) async throws {
        let object = "\(scratch.path)/toml.o"
        try await compile(width, ["-c", "-o", object, "\(Self.programs)/toml.c"])
        try await compile(width, ["-O0", "-o", "\(scratch.path)/toml", object, "\(Self.sources)/CTOML/CTOML.cpp"])
        try await execute("env", ["\(scratch.path)/toml"])
    }
}
