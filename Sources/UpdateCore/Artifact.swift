/// A downloaded and verified file in the staging folder.
public struct Artifact: Codable, Hashable, Sendable {
    public var path: String
    /// The signature or digest file that came with it, where the mode has one.
    public var sidecarPath: String?
    public var size: Int

    public init(path: String, sidecarPath: String?, size: Int) {
        self.path = path
        self.sidecarPath = sidecarPath
        self.size = size
    }
}

/// What may follow `<versionCode>.` in the staging folder: the agent removes such files of other versions.
public let stagingSuffixes = ["part", "part.json", "part.json.new", "artifact", "sidecar", "sidecar.new"]
