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
        do throws(SystemError) {
            file = path == "-" ? OpenFile(descriptor: dup(STDOUT_FILENO), path: path) : try create(path)
        } catch {
            let remedy: Shown = error.code == EEXIST ? "; use --force to replace it, or --output" : ""
            complain("\(error)\(remedy)")
            throw ExitCode(EX_CANTCREAT)
        }
        let sections = ReportSections(root: root, journalLines: lines)
        // `main` calls this on the main thread.
        MainActor.assumeIsolated {
            ReportWriter(file, sections.redaction).write(sections.all) { error in
                if let error {
                    complain("\(error)")
                    Glibc.exit(EX_CANTCREAT)
                }
                let notice: Shown =
                    "Read it before you send it: it names this device, its servers and its networks. Keys and passwords are replaced by ***."
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

    /// A new file that only its owner can read. A link of that name is not followed.
    private func create(_ path: String) throws(SystemError) -> OpenFile {
        if force, unlink(path) != 0, errno != ENOENT { throw SystemError("replace", path) }
        return try OpenFile(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
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
        redaction = ReportRedaction(root: root, settings)
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
                own(["config"] + place), own(["status"]), own(["history"]), own(["doctor"] + place),
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

/// Replaces the secrets of this device's configuration.
struct ReportRedaction {
    private let redactions: [Redaction]
    /// Whether the secrets are known.
    let note: String

    init(root: String, _ settings: Settings?) {
        let environment = Environment.current
        let loaded = try? Settings.loadWithCredentials(root: root, environment: environment)
        let credentials = loaded?.credentials
        redactions = [
            Redaction(settings?.server, credentials, environment: environment),
            Redaction([credentials?.accessKey, settings?.device.devKeySalt].compactMap(\.self)),
        ]
        note =
            credentials != nil
            ? "replaced by ***"
            : "the keys for the server cannot be read, so they are not replaced; the agent does not log them"
    }

    func callAsFunction(_ text: String) -> String { redactions.reduce(text) { $1($0) } }
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
