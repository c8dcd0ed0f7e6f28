import Host
import UpdateCore

/// An artifact that somebody brought, with its signature. Only a worker opens and reads it: a file system may keep whoever
/// does so waiting.
enum LocalFile {
    /// Its signature is expected beside it, as `PATH.minisig`.
    case path(String)
    case handedOver(artifact: OpenFile, signature: OpenFile)

    /// For people.
    var name: String {
        switch self {
        case .path(let path): path.forPeople(limit: 200)
        case .handedOver: "a file that was handed over"
        }
    }

    var path: String? {
        if case .path(let path) = self { path } else { nil }
    }

    /// What the worker gets as its descriptors 3 and 4.
    var handedOver: [OpenFile] {
        if case .handedOver(let artifact, let signature) = self { [artifact, signature] } else { [] }
    }
}
