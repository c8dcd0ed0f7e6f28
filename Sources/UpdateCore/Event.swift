/// Something that happened, and that the state machine decides about.
public enum Event: Codable, Hashable, Sendable {
    /// The agent started. `found` is an offer that was stored but never taken up.
    case started(found: Offer?)
    /// Time has passed, or an inhibitor came or went.
    case tick
    case command(Command)
    /// A local file that a worker has verified and staged.
    case fileOffered(Offer, Artifact)
    case asked(AskReport)
    case downloaded(versionCode: Int, DownloadResult)
    case installed(InstallID, InstallResult)
    case reported(id: Int, Delivery)
    case configurationChanged
}
