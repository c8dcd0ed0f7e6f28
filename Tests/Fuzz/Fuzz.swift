import FuzzTargets
import Glibc

// `make fuzz` builds this with libFuzzer, which has its own main function (-D FUZZING). Without libFuzzer the program runs a
// target on the files in its arguments, to reproduce what the fuzzer found.

#if FUZZING
    private let target: FuzzTarget = {
        let name = getenv("FUZZ_TARGET").map { String(cString: $0) } ?? ""
        guard let target = FuzzTarget(rawValue: name) else {
            print("FUZZ_TARGET is one of \(FuzzTarget.allCases.map(\.rawValue).joined(separator: ", "))")
            exit(64)
        }
        return target
    }()

    private typealias Target = @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
    private typealias Arguments = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

    /// libFuzzer's own loop (FuzzerInterface.h).
    @_silgen_name("LLVMFuzzerRunDriver")
    private func runFuzzer(
        _ count: UnsafeMutablePointer<CInt>, _ arguments: UnsafeMutablePointer<Arguments>, _ target: Target
    ) -> CInt

    @_cdecl("LLVMFuzzerTestOneInput")
    public func fuzzOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
        let bytes = Array(UnsafeBufferPointer(start: bytes, count: count))
        MainActor.assumeIsolated { target.run(bytes) }
        return 0
    }

    /// The package manager names a program's main function after its module, and links it instead of libFuzzer's.
    @_cdecl("upgradelink_fuzz_main")
    public func start(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> CInt {
        var (count, arguments) = (count, arguments)
        return runFuzzer(&count, &arguments) { bytes, count in fuzzOneInput(bytes, count) }
    }
#else
    @main
    enum Replay {
        @MainActor static func main() {
            guard CommandLine.arguments.count > 2, let target = FuzzTarget(rawValue: CommandLine.arguments[1]) else {
                print("usage: upgradelink-fuzz TARGET FILE…")
                exit(64)
            }
            for path in CommandLine.arguments.dropFirst(2) {
                guard let file = fopen(path, "r") else { continue }
                var bytes = [UInt8](repeating: 0, count: 1 << 20)
                let count = fread(&bytes, 1, bytes.count, file)
                fclose(file)
                target.run(Array(bytes[..<count]))
                print("\(path): ok")
            }
        }
    }
#endif
