import Host
import UpdateCore

/// A local artifact with its signature. Only a worker reads them, and opens a path, because a file system may block its
/// caller.
enum LocalFile {
    /// The signature is expected next to the artifact, as `PATH.minisig`.
    case path(String)
    /// Files that the caller has opened.
    case handedOver(artifact: OpenFile, signature: OpenFile)

    /// For messages to the user.
    var name: String {
        switch self {
        case .path(let path): path.sanitized(limit: 200)
        case .handedOver: "a file that was handed over"
        }
    }

    var path: String? {
        if case .path(let path) = self { path } else { nil }
    }

    /// The files that become the worker's descriptors 3 and 4.
    var handedOver: [OpenFile] {
        if case .handedOver(let artifact, let signature) = self { [artifact, signature] } else { [] }
    }
}
