import Dispatch
import Glibc
import Host
import UpdateCore

/// An artifact that somebody brought, with its signature: by name, or handed over open.
struct LocalFile: Sendable {
    private enum Place: Sendable {
        case path(String)
        case handedOver(artifact: OpenFile, signature: OpenFile)
    }

    /// For people.
    let name: String
    private let place: Place

    /// The signature is expected beside it, as `PATH.minisig`.
    init(path: String) {
        name = path.forPeople(limit: 200)
        place = .path(path)
    }

    init(artifact: OpenFile, signature: OpenFile) {
        name = "a file that was handed over"
        place = .handedOver(artifact: artifact, signature: signature)
    }

    struct Failure: Error, CustomStringConvertible { let description: String }

    /// The open artifact and the content of its signature. A file system may keep whoever reads from it waiting, so that
    /// this is done on a thread of its own.
    nonisolated func open() async -> Result<(OpenFile, String), Failure> {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: openNow()) }
        }
    }

    private nonisolated func openNow() -> Result<(OpenFile, String), Failure> {
        do throws(SystemError) {
            var files: [OpenFile] = []
            switch place {
            case .path(let path):
                for path in [path, path + ".minisig"] {
                    // O_NONBLOCK: a pipe has no reader to wait for.
                    let file = try OpenFile(path, O_RDONLY | O_NONBLOCK)
                    files.append(file)
                    if !file.isRegular { break }
                }
            case .handedOver(let artifact, let signature): files = [artifact, signature]
            }
            if let odd = files.first(where: { !$0.isRegular }) {
                return .failure(Failure(description: "\(odd.path.forPeople(limit: 200)) is not a regular file"))
            }
            let (artifact, signature) = (files[0], files[1])
            let bytes = try Files.read(signature, limit: maximumSidecarBytes)
            return .success((artifact, String(decoding: bytes, as: UTF8.self)))
        } catch {
            let remedy =
                error.code == EACCES
                ? "; the agent may not read it: use upgradelinkctl install, which hands it over" : ""
            return .failure(Failure(description: "\(error)\(remedy)"))
        }
    }
}
