public import UpdateCore

/// What the operator says about installing.
public struct InstallSettings: Hashable, Sendable {
    /// The update module's name.
    public var module: String
    /// Where modules are looked for, in order.
    public var moduleFolders: [String]
    /// The artifact's name in the module's `files` folder.
    public var fileName: String
    /// Small payload files beside the artifact, by name.
    public var files: [String: String]
    /// The module's meta-data, as JSON.
    public var metaData: String
    public var timeout: Seconds
    /// By state, where one needs another time limit.
    public var timeouts: [String: Seconds]
    public var rebootCommand: [String]
    public var devModelKey: String?

    public init(
        module: String, moduleFolders: [String], fileName: String, files: [String: String], metaData: String,
        timeout: Seconds, timeouts: [String: Seconds], rebootCommand: [String], devModelKey: String?
    ) {
        self.module = module
        self.moduleFolders = moduleFolders
        self.fileName = fileName
        self.files = files
        self.metaData = metaData
        self.timeout = timeout
        self.timeouts = timeouts
        self.rebootCommand = rebootCommand
        self.devModelKey = devModelKey
    }

    func timeLimit(of state: String) -> Duration { .seconds(timeouts[state] ?? timeout) }
}
