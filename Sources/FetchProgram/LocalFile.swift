import Glibc
import Host
import UpdateCore

/// A local artifact as an open file, and the content of its signature file.
struct LocalFile {
    let artifact: OpenFile
    let signature: [UInt8]

    struct Refusal: Error, CustomStringConvertible { let description: String }

    init(_ job: AdoptJob) throws {
        do {
            if let path = job.path {
                // O_NONBLOCK, so that opening a named pipe does not wait for a writer.
                artifact = try OpenFile(path, O_RDONLY | O_NONBLOCK)
            } else {
                artifact = try Self.inherited(3, "the artifact")
            }
            guard artifact.isRegular else { throw Self.odd(artifact) }
            let sidecar =
                if let path = job.path {
                    try OpenFile(path + ".minisig", O_RDONLY | O_NONBLOCK)
                } else {
                    try Self.inherited(4, "the signature")
                }
            guard sidecar.isRegular else { throw Self.odd(sidecar) }
            signature = try Files.read(sidecar, limit: maximumSidecarBytes)
        } catch let error as SystemError where error.code == EACCES {
            throw Refusal(
                description: "\(error); the agent may not read it: use upgradelinkctl install, which hands it over")
        }
    }

    private static func inherited(_ descriptor: CInt, _ name: String) throws(SystemError) -> OpenFile {
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 5)
        guard copy >= 0 else { throw SystemError("find", name) }
        return OpenFile(descriptor: copy, path: name)
    }

    private static func odd(_ file: OpenFile) -> Refusal {
        Refusal(description: "\(file.path.sanitized(limit: 200)) is not a regular file")
    }
}
