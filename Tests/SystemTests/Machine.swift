import Glibc
import Host
import Subprocess
import SystemPackage
import TestSupport

/// A running container.
struct Machine: Sendable {
    /// The container's PID 1, as a process of this machine.
    let pid: pid_t

    struct Failure: Error { var description: String }

    init(nspawn: pid_t) async throws {
        var found: pid_t = 0
        _ = await eventually(within: 120) {
            let children = Self.text("/proc/\(nspawn)/task/\(nspawn)/children").split(separator: " ")
            // The first child is a helper: PID 1 is the one with a PID namespace.
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

    /// Waits until the boot is complete, or the machine has shut down again: it may reboot before the boot is complete.
    func isUp() async -> Bool {
        await eventually(within: 180) {
            if !isRunning { return true }
            let state = (try? await run("systemctl", "is-system-running"))?.output ?? ""
            return state.hasPrefix("running") || state.hasPrefix("degraded")
        }
    }

    /// Whether the machine still runs: it shuts down by itself for a reboot.
    var isRunning: Bool {
        let state = Self.text("/proc/\(pid)/stat")
        // A process that has ended, and whose parent has not waited for it, does not run either.
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

    /// What journalctl(1) prints with these arguments, when the journal has everything that was logged until now.
    func journal(_ arguments: String) async -> String {
        await shell("journalctl --sync; journalctl --no-pager \(arguments)")
    }

    /// A property of the unit, as `systemctl show` has it.
    func property(_ name: String, of unit: String = "upgradelinkd") async -> String {
        let result = try? await run("systemctl", "show", "-P", name, unit)
        return result?.output.split(separator: "\n").first.map(String.init) ?? ""
    }

    func status(says text: String, within seconds: Double = 60) async -> Bool {
        await eventually(within: seconds) { await property("StatusText").contains(text) }
    }

    /// Waits until the download has reached this percentage and is not complete.
    func downloads(from percent: Int, within seconds: Double = 60) async -> Bool {
        await eventually(within: seconds) {
            let found = await property("StatusText").firstMatch(of: /Downloading [^:]*: (\d+) %/)
            return found.flatMap { Int($0.1) }.map { (percent..<100).contains($0) } ?? false
        }
    }

    /// Waits for a file in the container.
    func has(_ path: String, within seconds: Double = 60) async -> Bool {
        await eventually(within: seconds) { (try? await run("test", "-e", path))?.isSuccess == true }
    }

    /// Waits until the machine shuts down by itself, as for a reboot.
    func shutsDown(within seconds: Double = 60) async -> Bool { await eventually(within: seconds) { !isRunning } }
}
