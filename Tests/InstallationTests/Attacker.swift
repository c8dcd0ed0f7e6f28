import Glibc
import Host
import TestSupport
import UpdateCore

@testable import Installation

/// A client of the installer that shares no code with it: Tests/Attacks/installer.py.
struct Attacker: Sendable {
    enum Target: Sendable {
        case program(InstallerDevice)
        case socket(String)
    }

    let target: Target

    init(_ target: Target) { self.target = target }

    private var words: [String] {
        switch target {
        case .program(let device):
            ["-", "{", "\(programsDirectory)/upgradelink-installer", "--root", device.scratch.path, "}"]
        case .socket(let path): [path]
        }
    }

    /// - Returns: the lines of JSON that the attack prints.
    func run(
        _ attack: String, _ arguments: String..., onLine: @escaping @MainActor (String) -> Void = { _ in }
    )
        async -> [String]
    {
        let program = Program(
            "python3", ["\(repositoryDirectory)/Tests/Attacks/installer.py"] + words + [attack] + arguments,
            streams: .captured, timeLimit: 120)
        let (lines, errors, end) = await program.run(onLine: { line, _ in onLine(line) })
        return end == .exited(0) ? lines : errors + ["\(end)"]
    }
}
