/// A downloaded and verified file in the staging directory.
public struct Artifact: Codable, Hashable, Sendable {
    public var path: String
    /// The downloaded signature or digest file, if the verification mode has one.
    public var sidecarPath: String?
    /// In bytes.
    public var size: ByteCount

    public init(path: String, sidecarPath: String?, size: ByteCount) {
        self.path = path
        self.sidecarPath = sidecarPath
        self.size = size
    }
}

extension Artifact {
    /// The name of an artifact in the staging directory. The installer finds it there by this name.
    public static func stagedName(versionCode: Int) -> String { "\(versionCode).artifact" }
}

/// The suffixes that follow `<versionCode>.` in the staging directory. The agent removes such files of other versions.
public let stagingSuffixes = ["part", "part.json", "part.json.new", "artifact", "sidecar", "sidecar.new"]
