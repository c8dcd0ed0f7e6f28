import FoundationEssentials
import Host
import UpdateCore
import Verification

/// The folder a module works in, laid out as the protocol's "File API" says.
struct FileTree {
    let path: String

    /// Makes the tree anew, with everything but the artifact in it.
    func create(for offer: Offer, _ settings: InstallSettings, installed: InstalledVersion) throws {
        try Files.removeTree(path)
        for folder in ["", "/header", "/files", "/tmp"] { try Files.createFolder(path + folder) }
        let name = "\(offer.urlKey)-\(offer.versionCode)"
        let deviceType = settings.devModelKey ?? "unknown"
        let texts = [
            "version": "3",
            "current_artifact_name": installed.versionCode.map { "\(offer.urlKey)-\($0)" } ?? "unknown",
            "current_artifact_group": "",
            "current_device_type": deviceType,
            "header/artifact_name": name,
            "header/artifact_group": "",
            "header/payload_type": settings.module,
            "header/header-info": try json(
                HeaderInfo(
                    payloads: [.init(type: settings.module)],
                    artifact_provides: .init(artifact_name: name),
                    artifact_depends: .init(device_type: [deviceType]))),
            "header/type-info": try json(TypeInfo(type: settings.module)),
            "header/meta-data": settings.metaData,
        ]
        for (name, text) in texts { try write(name, text) }
        for (name, text) in settings.files { try write("files/\(name)", text) }
    }

    /// Where the artifact belongs.
    func artifactPath(_ settings: InstallSettings) -> String { "\(path)/files/\(settings.fileName)" }

    func remove() throws(SystemError) { try Files.removeTree(path) }

    private func write(_ name: String, _ text: String) throws(SystemError) {
        try Files.replace("\(path)/\(name)", with: Array(text.utf8), mode: 0o644)
    }

    private func json(_ value: some Encodable) throws -> String {
        String(decoding: try JSONEncoder().encode(value), as: UTF8.self)
    }

    // The names are the artifact format's own.
    private struct HeaderInfo: Encodable {
        var payloads: [TypeInfo]
        var artifact_provides: Provides
        var artifact_depends: Depends
    }
    private struct Provides: Encodable { var artifact_name: String }
    private struct Depends: Encodable { var device_type: [String] }
    private struct TypeInfo: Encodable { var type: String }
}
