import Host

/// A program that selects the slot of the next boot: RAUC's "custom bootloader backend" interface, with `get-primary`, `set-primary SLOT`,
/// `get-state SLOT`, `set-state SLOT good|bad`, and, if the program has it, `get-current`.
struct Bootloader {
    /// The directory of the programs that come with upgradelinkd.
    private static let directory = "/usr/lib/upgradelinkd/bootloaders"

    private let path: String
    private let arguments: [String]

    /// - Parameter text: the option `bootloader`: the absolute path of a program, or the name of one that comes with upgradelinkd; its
    ///   first arguments may follow, separated by blanks.
    init(_ text: String) throws {
        let words = text.split(whereSeparator: \.isWhitespace).map(String.init)
        guard let program = words.first, !program.contains("/") || program.hasPrefix("/") else {
            throw ModuleError(
                "\"\(text)\" is neither the name of a bootloader nor an absolute path: set install.files.bootloader")
        }
        path = program.hasPrefix("/") ? program : "\(Self.directory)/\(program)"
        arguments = Array(words.dropFirst())
        guard Files.isExecutable(path) else {
            throw ModuleError("there is no program \(path): set install.files.bootloader")
        }
    }

    private func call(_ request: String...) throws -> String {
        let process = try FilterProcess(path, arguments + request)
        let answer = try process.readText(limit: 4096)
        let end = process.end()
        guard end.succeeded else {
            throw ModuleError("the bootloader's program \(path) failed in \(request.joined(separator: " ")): \(end)")
        }
        return answer
    }

    /// Selects the slot of the next boot, and gives it all of its attempts.
    func setPrimary(_ slot: String) throws { _ = try call("set-primary", slot) }

    func primary() throws -> String { try call("get-primary") }

    /// A good slot is booted without counting; a bad one is not booted.
    func setState(of slot: String, isGood: Bool) throws { _ = try call("set-state", slot, isGood ? "good" : "bad") }

    /// The slot that was booted, if the program can tell.
    func current() -> String? {
        guard let process = try? FilterProcess(path, arguments + ["get-current"], isQuiet: true),
            let answer = try? process.readText(limit: 4096), process.end().succeeded, !answer.isEmpty
        else { return nil }
        return answer
    }
}
