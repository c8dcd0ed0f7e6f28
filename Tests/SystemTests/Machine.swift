import Glibc
import Host
import Subprocess
import SystemPackage
import TestSupport

/// A container that is up.
struct Machine: Sendable {
    /// Its PID 1, as seen from here.
    let pid: pid_t

    struct Failure: Error { var description: String }

    init(nspawn: pid_t) async throws {
        var found: pid_t = 0
        _ = await eventually(within: 120) {
            let children = Self.text("/proc/\(nspawn)/task/\(nspawn)/children").split(separator: " ")
            // Not the helper that comes first: the one that is PID 1 in a namespace of its own.
            found =
                children.compactMap { pid_t($0) }.first { child in
                    Self.text("/proc/\(child)/status").contains(/NSpid:(\s+\d+)+\s+1\n/)
                } ?? 0
            return found > 0
        }
        guard found > 0 else { throw Failure(description: "systemd-nspawn has started no PID 1") }
        pid = found
    }

    private static func text(_ path: String) -> String {
        (try? Files.read(path, limit: 65_536)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// Waits until it is up, or down again: a device may restart before it has come up whole.
    func isUp() async -> Bool {
        await eventually(within: 180) {
            if !isRunning { return true }
            let state = (try? await run("systemctl", "is-system-running"))?.output ?? ""
            return state.hasPrefix("running") || state.hasPrefix("degraded")
        }
    }

    /// Whether it is still there: it goes down by itself when it restarts.
    var isRunning: Bool {
        let state = Self.text("/proc/\(pid)/stat")
        // Ended, and not yet taken note of by its parent: not running either.
        return !state.isEmpty && !state.contains(") Z ")
    }

    @discardableResult
    func run(_ command: String...) async throws -> (isSuccess: Bool, output: String, error: String) {
        try await run(command)
    }

    @discardableResult
    func run(_ command: [String]) async throws -> (isSuccess: Bool, output: String, error: String) {
        let result = try await Subprocess.run(
            .name("timeout"), arguments: .init(["60", "nsenter", "-t", "\(pid)", "-a"] + command),
            output: .string(limit: 4 << 20), error: .string(limit: 1 << 20))
        return (result.terminationStatus.isSuccess, result.standardOutput, result.standardError)
    }

    /// A line of shell, run as root; its output without the last line's end.
    func shell(_ line: String) async -> String {
        let output = (try? await run(["sh", "-c", line]))?.output ?? ""
        return output.hasSuffix("\n") ? String(output.dropLast()) : output
    }

    /// A property of the unit, as `systemctl show` has it.
    func property(_ name: String, of unit: String = "upgradelinkd") async -> String {
        let answer = try? await run("systemctl", "show", "-P", name, unit)
        return answer?.output.split(separator: "\n").first.map(String.init) ?? ""
    }

    func status(says text: String, within seconds: Double = 60) async -> Bool {
        await eventually(within: seconds) { await property("StatusText").contains(text) }
    }

    /// Waits until so many percent of a download are there, but not all of them.
    func downloads(from percent: Int, within seconds: Double = 60) async -> Bool {
        await eventually(within: seconds) {
            let found = await property("StatusText").firstMatch(of: /Downloading [^:]*: (\d+) %/)
            return found.flatMap { Int($0.1) }.map { (percent..<100).contains($0) } ?? false
        }
    }

    /// Waits for a file inside.
    func has(_ path: String, within seconds: Double = 60) async -> Bool {
        await eventually(within: seconds) { (try? await run("test", "-e", path))?.isSuccess == true }
    }

    /// Goes down by itself, as for a restart.
    func goesDown(within seconds: Double = 60) async -> Bool { await eventually(within: seconds) { !isRunning } }
}
