import ArgumentParser
import Configuration
import Glibc
import Host
import UpdateCore

struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Collect what a bug report needs into one text file.",
        discussion: """
            The file contains versions, the effective configuration, the status, the history, the output of doctor, the units and \
            the journal of this boot and the one before. The keys for the server, passwords and device.devKeySalt are replaced by \
            ***. Read it before you send it: it names this device, its servers and its networks. Run it as root; what another user \
            cannot read is named in it.

            Exit status: 0 the file is written; 73 it cannot be written.
            """)

    @Option(
        help: ArgumentHelp(
            "The file; - is standard output. The default is upgradelink-report-DATE.txt in the current directory.",
            valueName: "file"), completion: .file())
    var output: String?

    @Flag(help: "Replace the file if it exists.")
    var force = false

    @Option(help: ArgumentHelp("The number of lines of the journal, for each boot.", valueName: "N"))
    var lines = 500

    @Option(help: ArgumentHelp("Read the files below this directory instead of /.", valueName: "directory"))
    var root = "/"

    func validate() throws {
        guard (1...100_000).contains(lines) else {
            throw ValidationError("--lines \(lines) is not a number of lines from 1 to 100000.")
        }
    }

    func run() throws {
        let path = output ?? "upgradelink-report-\(Self.date).txt"
        let file: OpenFile
        do throws(Refusal) {
            file = path == "-" ? OpenFile(descriptor: dup(STDOUT_FILENO), path: path) : try destination(path)
        } catch {
            complain(error.line)
            throw ExitCode(EX_CANTCREAT)
        }
        let sections = ReportSections(root: root, journalLines: lines)
        let notice: Shown =
            "Read it before you send it: it names this device, its servers and its networks. \(sections.redaction.notice)"
        // `main` calls this on the main thread.
        MainActor.assumeIsolated {
            ReportWriter(file, sections.redaction).write(sections.all) { error in
                if let error {
                    complain("\(error)")
                    Glibc.exit(EX_CANTCREAT)
                }
                if path == "-" { complain(notice) } else { say("The report is in \(path). \(notice)") }
                Glibc.exit(0)
            }
            MainQueue.serve()
        }
    }

    /// Such as `2026-11-24-0310`.
    private static var date: String {
        LocalTime.text(Clock.wallTime).filter { $0.isNumber || $0 == "-" || $0 == " " }.replacing(" ", with: "-")
    }

    /// Why there is no file to write to.
    private struct Refusal: Error {
        var line: Shown
    }

    /// A new file that only its owner can read, or a device or a FIFO that ``output`` names. A link is neither followed nor
    /// replaced, and nothing but a regular file is removed.
    private func destination(_ path: String) throws(Refusal) -> OpenFile {
        guard let status = FileStatus(path, followsLinks: false) else { return try create(path) }
        switch status.type {
        case S_IFREG:
            guard force else { throw Refusal(line: "\(path) exists; use --force to replace it, or --output") }
            guard unlink(path) == 0 || errno == ENOENT else {
                throw Refusal(line: "\(SystemError("replace", path))")
            }
            return try create(path)
        case S_IFCHR, S_IFIFO:
            // Another user may have planted it in a directory that all can write to.
            guard output != nil, [0, geteuid()].contains(status.user) else {
                throw Refusal(line: "\(path) is a device or a FIFO of another user; name another file with --output")
            }
            let file = try open(path, O_WRONLY | O_NOFOLLOW)
            guard FileStatus(descriptor: file.descriptor)?.identity == status.identity else {
                throw Refusal(line: "\(path) has just been replaced; run the command again")
            }
            return file
        case S_IFLNK:
            throw Refusal(
                line:
                    "\(path) is a link, which is neither followed nor replaced; name another file with --output, or - for standard output"
            )
        default:
            throw Refusal(line: "\(path) is not a regular file; name another file with --output")
        }
    }

    private func create(_ path: String) throws(Refusal) -> OpenFile {
        try open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW)
    }

    private func open(_ path: String, _ flags: CInt) throws(Refusal) -> OpenFile {
        do throws(SystemError) {
            return try OpenFile(path, flags, mode: 0o600)
        } catch {
            throw Refusal(line: "\(error)")
        }
    }
}

/// What a report contains.
struct ReportSections {
    struct Section {
        var title: String
        var content: Content
    }

    enum Content {
        case text(String)
        case output(Program)
    }

    let redaction: ReportRedaction
    let all: [Section]

    private static let units = [
        "upgradelinkd.service", "upgradelink-installer.socket", "upgradelink-installer.service",
        "upgradelink-installer-resume.service", "upgradelink-boot.service",
    ]
    /// Seconds for each program. `doctor` waits for the server.
    private static let timeLimit = 150.0

    init(root: String, journalLines: Int) {
        let settings = try? Settings.load(root: root, environment: Environment.current)
        redaction = ReportRedaction(root: root)
        let place = root == "/" ? [] : ["--root", root]
        func own(_ arguments: [String]) -> Section {
            Self.output("upgradelinkctl \(arguments[0])", Self.ownPath, arguments)
        }
        func journal(_ boot: String, _ title: String) -> Section {
            Self.output(
                "journal of \(title)", "journalctl",
                ["--no-pager", "--quiet", "-o", "short-iso", "-b", boot, "-n", "\(journalLines)"]
                    + Self.units.flatMap { ["-u", $0] })
        }
        let directories = [
            settings?.stateDirectory ?? "/var/lib/upgradelinkd",
            settings?.download.directory ?? "/var/cache/upgradelinkd",
            settings?.installerDirectory ?? "/var/lib/upgradelink-installer", "/",
        ]
        all =
            [
                Section(title: "upgradelinkctl", content: .text(Self.summary(redaction))),
                Section(title: "/etc/os-release", content: .text(Self.file("/etc/os-release"))),
                Self.output("systemd", "systemctl", ["--version"]),
                Self.output("package", "dpkg-query", ["-W", "upgradelinkd"]),
                Section(title: "upgradelinkctl config", content: .text(Self.configuration(root))), own(["status"]),
                own(["history"]), own(["doctor"] + place),
                Self.output(
                    "units", "systemctl", ["status", "--no-pager", "--full", "--lines=0"] + Self.units),
            ] + directories.map { Self.output("disk space of \($0)", "df", ["-hT", $0]) } + [
                journal("0", "this boot"), journal("-1", "the boot before"),
            ]
    }

    /// Through the link that has the program's name: all programs are one file.
    private static var ownPath: String {
        let path = Environment.executablePath
        return path.hasSuffix("/upgradelinkctl") ? path : CommandLine.arguments.first ?? "upgradelinkctl"
    }

    private static func output(_ title: String, _ program: String, _ arguments: [String]) -> Section {
        Section(
            title: title, content: .output(Program(program, arguments, streams: .captured, timeLimit: timeLimit)))
    }

    private static func file(_ path: String) -> String {
        do throws(SystemError) {
            return String(decoding: try Files.read(path, limit: 65_536), as: UTF8.self)
        } catch {
            return "missing: \(error)"
        }
    }

    /// Without the secrets that no option declares. The agent's journal has the errors as well.
    private static func configuration(_ root: String) -> String {
        do throws(ConfigCommand.Failure) {
            return try ConfigCommand.read(root: root, hidingSuspects: true).toml()
        } catch {
            return (error.lines + ["(upgradelinkctl config: exit status \(error.exitStatus))"]).joined(separator: "\n")
        }
    }

    private static func summary(_ redaction: ReportRedaction) -> String {
        var name = utsname()
        uname(&name)
        func text(_ field: some Any) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        return """
            version \(productVersion), made at \(LocalTime.text(Clock.wallTime)) by the user with the number \(geteuid())
            kernel \(text(name.sysname)) \(text(name.release)) \(text(name.machine))
            secrets: \(redaction.note)
            """
    }
}

/// Writes the sections of a report, one after the other.
@MainActor final class ReportWriter {
    private let file: OpenFile
    private let redaction: ReportRedaction
    private var isStopped = false

    /// Characters of a line, and lines of a section.
    private static let lineLimit = 4000
    private static let sectionLimit = 200_000

    init(_ file: OpenFile, _ redaction: ReportRedaction) {
        self.file = file
        self.redaction = redaction
    }

    /// - Parameter done: called once, with the error that prevented the rest from being written.
    func write(_ sections: [ReportSections.Section], then done: @escaping @MainActor (SystemError?) -> Void) {
        guard let section = sections.first else { return done(nil) }
        let next: @MainActor ([String]) -> Void = { lines in
            do throws(SystemError) {
                try self.write(section.title, lines)
            } catch {
                return done(error)
            }
            self.write(Array(sections.dropFirst()), then: done)
        }
        switch section.content {
        case .text(let text): next(text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init))
        case .output(let program): collect(program, then: next)
        }
    }

    private func collect(_ program: Program, then done: @escaping @MainActor ([String]) -> Void) {
        var lines: [String] = []
        let add: @MainActor (String) -> Void = { if lines.count < Self.sectionLimit { lines.append($0) } }
        ChildProcess.start(program, onLine: add, onErrorLine: add) { end in
            if !end.succeeded {
                add(
                    "(\(([program.path.split(separator: "/").last.map(String.init) ?? ""] + program.arguments).joined(separator: " ")): \(end))"
                )
            } else if lines.isEmpty {
                add("(nothing)")
            }
            done(lines)
        }
    }

    private func write(_ title: String, _ lines: [String]) throws(SystemError) {
        let text = lines.map { redaction($0).sanitizedLines(limit: Self.lineLimit) }.joined(separator: "\n")
        try file.write(Array("== \(title.sanitized(limit: 200))\n\(text)\n\n".utf8))
    }
}
