import ArgumentParser
import Glibc
import Host
import Simulator
import UpdateCore

struct ReleaseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release",
        abstract: "Pack and sign a version, and let the server offer it.",
        discussion: """
            A directory is packed with tar: two runs give the same archive. A file is taken as it is. The signature's trusted \
            comment names the application and the version. The artifact, its signature and its registration are put into the \
            directory of releases, and a running server offers the version at its next update check.

            Exit status: 0 released; 64 wrong arguments; 65 the content cannot be installed, or is of another version; 66 no \
            such file, or no key; 69 a program is missing or has failed; 73 the releases cannot be written; 128+N ended by \
            signal N, and nothing was released.
            """)

    @Argument(
        help: ArgumentHelp("The directory, or the file, that is the new version.", valueName: "directory-or-file"))
    var source: String

    @Option(help: "The version's number; devices take a higher one than the installed one.")
    var versionCode: Int
    @Option(help: "The version's name, which users see. By default the number.")
    var versionName: String?
    @Option(help: ArgumentHelp("The application's key. By default the source's name.", valueName: "key"))
    var urlKey: String?
    @Option(
        help: ArgumentHelp(
            "The secret key of minisign. By default that of minisign, ~/.minisign/minisign.key.", valueName: "file"))
    var key: String?
    @Option(help: ArgumentHelp("The directory of releases, which serve offers.", valueName: "directory"))
    var into = "releases"
    @Option(help: "The update module of the devices. By default directory for a directory, deb for *.deb, else file.")
    var module: ReleasedModule?
    @Option(
        help: ArgumentHelp(
            "prompt: after the user's consent; silent: without it; forced: soon, and without it.", valueName: "type"))
    var type = UpgradeType.silent
    @Option(help: "The text that the user sees with a prompt.")
    var text = ""
    @Option(
        help: ArgumentHelp(
            "Write the version into this file of the archive; the directory itself is not changed.", valueName: "path"))
    var versionFile: String?
    @Flag(help: "Replace a version with the same number that is released already.")
    var replace = false

    func validate() throws {
        guard versionCode > 0, versionCode <= Int(Int32.max) else {
            throw ValidationError("--version-code \(versionCode) is not a number from 1 to \(Int32.max)")
        }
        if let versionFile, !ReleasePacking.isPlainPath(versionFile) {
            throw ValidationError(
                "--version-file \(versionFile) is not a path in the archive, such as version or etc/version: letters, digits, "
                    + "and . _ - / are possible")
        }
        if let versionName, !Self.isPlainName(versionName) {
            throw ValidationError(
                "--version-name must not be empty, and must not contain quotes, backslashes, line breaks or other control "
                    + "characters")
        }
    }

    /// In a version file, the name is between quotes.
    private static func isPlainName(_ name: String) -> Bool {
        !name.allSatisfy(\.isWhitespace)
            && !name.unicodeScalars.contains {
                $0 == "\"" || $0 == "\\"
                    || [.control, .lineSeparator, .paragraphSeparator].contains($0.properties.generalCategory)
            }
    }

    func run() throws {
        let interruption = Interruption()
        try reportingFailure {
            do {
                try release(interruption)
            } catch let error as SystemError {
                throw CommandFailure("\(error); nothing was released", status: EX_CANTCREAT)
            }
        }
    }

    private func release(_ interruption: Interruption) throws {
        let kind = try SourceKind(source)
        let urlKey = try effectiveKey()
        let module = module ?? ReleasedModule.usual(for: source, kind)
        try require(module, fits: kind)
        let signer = try ReleaseSigner(key: key)
        let versionName = versionName ?? "\(versionCode)"
        let file = try artifactName(urlKey, module)
        let release = Release(
            urlKey: urlKey,
            version: Version(
                versionCode: versionCode, versionName: versionName, file: file, upgradeType: type.number,
                promptUpgradeContent: text))

        let packing = try ReleasePacking(source: source, into: into, interruption)
        defer { packing.removeTemporary() }
        guard replace || !Files.exists(release.path(in: into)) else {
            throw CommandFailure(
                "\(urlKey) \(versionCode) is released already (\(release.path(in: into))): choose a higher --version-code, "
                    + "or replace it with --replace", status: EX_USAGE)
        }
        let content = ReleaseContent(source, interruption)
        if module == .directory { try content.requireInstallable(kind, versionFile: versionFile) }
        if module == .directory, kind == .directory {
            let found = try versionFileLine(versionName)
            try packing.pack(
                versionFile: versionFile, content: "VERSION=\"\(versionName)\"\nVERSION_CODE=\(versionCode)\n")
            say(found)
        } else {
            try packing.copy()
            complain(
                "warning: a device reports its version from device.versionFile: the update must change that file too, or the "
                    + "device is rolled back")
        }
        let comment = "urlKey=\(urlKey) versionCode=\(versionCode)"
        try signer.sign(packing.artifact, comment: comment, interruption)
        say("Signed with \(signer.shownKey): \(comment)")
        let size = packing.size
        try publish(release, packing)
        say("Released \(urlKey) \(release.version.shown): \(into)/\(file), \(describe(bytes: size))")
    }

    /// From here on, the release is completed in spite of signals.
    private func publish(_ release: Release, _ packing: ReleasePacking) throws {
        let wasReleased = Files.exists(release.path(in: into))
        do throws(SystemError) {
            // A device must not find the new artifact with the old signature, or the other way round.
            let old = try release.withdraw(in: into)
            try packing.publish(as: release.version.file)
            try release.write(in: into)
            if let old { remove(old) }
        } catch {
            guard wasReleased, !Files.exists(release.path(in: into)) else { throw error }
            throw CommandFailure(
                "\(error); \(release.urlKey) \(versionCode) is not offered any more: remove the cause, and release it again",
                status: EX_CANTCREAT)
        }
    }

    /// Removes the files of a replaced version.
    private func remove(_ artifact: String) {
        do {
            for name in [artifact, "\(artifact).minisig"] { try Files.remove("\(into)/\(name)") }
        } catch {
            complain("warning: \(error): no version needs this file any more")
        }
    }

    // MARK: checks

    private func effectiveKey() throws -> String {
        let path = realpath(source, nil)
        defer { free(path) }
        let name = path.map { String(cString: $0) }?.split(separator: "/").last.map(String.init) ?? ""
        let key = urlKey ?? name
        let isUsable =
            !key.isEmpty && !".-".contains(key.first ?? "-")
            && key.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0)) }
        guard isUsable else {
            throw CommandFailure(
                "\"\(key)\" cannot be the application's key: set --url-key to letters, digits, and . _ -",
                status: EX_USAGE)
        }
        return key
    }

    /// Other files of the release must not get the artifact's name.
    private func artifactName(_ urlKey: String, _ module: ReleasedModule) throws -> String {
        let ending = module.ending(of: source)
        let reserved = [Release.suffix, ".minisig"].first { ending.contains($0) }
        if let reserved {
            throw CommandFailure(
                "\(source) has a name with \(reserved), which is for files that belong to an artifact: name the artifact itself, "
                    + "or rename the file", status: EX_USAGE)
        }
        return Release.name(urlKey: urlKey, versionCode: versionCode) + ending
    }

    private func require(_ module: ReleasedModule, fits kind: SourceKind) throws {
        if kind == .directory, module != .directory {
            throw CommandFailure(
                "\(source) is a directory, and the module \(module.rawValue) installs a file: name the file",
                status: EX_USAGE)
        }
        if kind == .file, versionFile != nil {
            throw CommandFailure(
                "--version-file is for a directory, and \(source) is a file: put the version file into it",
                status: EX_USAGE)
        }
    }

    /// What the archive says about its version; printed after the archive was made.
    private func versionFileLine(_ versionName: String) throws -> String {
        if let versionFile { return "Packed \(source); \(versionFile) says VERSION_CODE=\(versionCode)" }
        let found = VersionFiles.find(in: source)
        if let right = found.first(where: { $0.code == versionCode }) {
            return "Packed \(source); \(right.path) says VERSION_CODE=\(versionCode)"
        }
        if let wrong = found.first {
            throw CommandFailure(
                "\(source)/\(wrong.path) says VERSION_CODE=\(wrong.code), and this is version \(versionCode): correct the file, "
                    + "or let this command write it into the archive: --version-file \(wrong.path)", status: EX_DATAERR)
        }
        complain(
            "warning: \(source) has no file with the line VERSION_CODE=\(versionCode). A device that does not report the new "
                + "version after the update is rolled back: if device.versionFile is in this directory, add --version-file version"
        )
        return "Packed \(source)"
    }
}

enum SourceKind {
    case directory, file

    init(_ path: String) throws {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw CommandFailure(
                "\(path): \(String(cString: strerror(errno))): name the directory, or the file, of the new version",
                status: EX_NOINPUT)
        }
        switch status.st_mode & S_IFMT {
        case S_IFDIR: self = .directory
        case S_IFREG: self = .file
        default:
            throw CommandFailure("\(path) is neither a directory nor a regular file", status: EX_NOINPUT)
        }
    }
}

/// An update module, as far as an artifact depends on it.
enum ReleasedModule: String, CaseIterable, ExpressibleByArgument {
    case directory, file, deb

    static func usual(for source: String, _ kind: SourceKind) -> ReleasedModule {
        kind == .directory ? .directory : source.hasSuffix(".deb") ? .deb : .file
    }

    /// The ending of the artifact's name.
    func ending(of source: String) -> String {
        let name = source.split(separator: "/").last ?? ""
        switch self {
        case .directory where !name.contains(".tar"): return ".tar"
        case .deb: return ".deb"
        case .directory, .file:
            guard let dot = name.dropFirst().firstIndex(of: ".") else { return "" }
            let ending = String(name[dot...])
            return ending.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == ".") } ? ending : ""
        }
    }
}
