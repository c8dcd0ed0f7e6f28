import Glibc
import Host

/// The file tree of the protocol: the artifact, the module's options, and what the module has to remember until the end of the
/// installation. The tree belongs to the installer, and no other user can enter it.
struct ModuleTree {
    private let path: String
    private static let optionLimit = 1 << 20

    init(_ path: String) throws {
        guard Files.exists("\(path)/tmp") else {
            throw ModuleError("\(path) is no file tree of an installation: it has no directory tmp")
        }
        self.path = path
    }

    /// URLKEY-VERSIONCODE of the version that is installed.
    var artifactName: String {
        get throws { try text("header/artifact_name") ?? "" }
    }

    /// An option of `install.files`, without the line breaks at its end; nil if it is not set.
    func option(_ name: String) throws -> String? { try text("files/\(name)") }

    var artifactPath: String { "\(path)/files/\(Self.artifactName)" }
    static let artifactName = FileName.artifact

    /// The directory that has the options and the artifact.
    func files() throws -> Directory { try Directory("\(path)/files") }

    func artifact() throws -> OpenFile {
        guard Files.exists(artifactPath) else { throw ModuleError("set install.fileName = \"artifact\"") }
        return try OpenFile(artifactPath, O_RDONLY)
    }

    // MARK: what the module remembers

    /// What an earlier state of this installation has remembered; nil if it is not there.
    func recall(_ name: String) throws -> String? { try text("tmp/\(name)") }

    /// Remembers a text. It survives a power cut.
    func remember(_ name: String, _ text: String) throws {
        try Files.replace("\(path)/tmp/\(name)", with: Array("\(text)\n".utf8))
    }

    /// It is no error if nothing was remembered.
    func forget(_ name: String) throws { try Files.remove("\(path)/tmp/\(name)") }

    /// Whether a state of this installation needed a temporary name.
    func hasTemporaryName() throws -> Bool { try recall("temporary") != nil }

    /// The name of what is not complete yet. No other user can predict it, and a later state finds it again.
    func temporaryName(_ ending: String) throws -> FileName {
        let known = try recall("temporary").flatMap { FileName($0) }
        let name = known ?? .unpredictable(".upgradelink-")
        if known == nil { try remember("temporary", name.description) }
        guard let name = name.appending(ending) else { throw ModuleError("\(name)\(ending) is no name of a file") }
        return name
    }

    /// Marks the installation as one that this release began.
    func begin() throws {
        if try isOfEarlierRelease() { try remember("release", "0.3") }
    }

    /// Whether a module of 0.2.0 or earlier, a shell script, began this installation.
    func isOfEarlierRelease() throws -> Bool { try recall("release") == nil }

    private func text(_ name: String) throws -> String? {
        do throws(SystemError) {
            var bytes = try Files.read("\(path)/\(name)", limit: Self.optionLimit)
            while bytes.last == 0x0A { bytes.removeLast() }
            return String(decoding: bytes, as: UTF8.self)
        } catch {
            guard error.isNotFound else { throw error }
            return nil
        }
    }
}
