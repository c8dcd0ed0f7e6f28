/// An input of the state machine.
public enum Event: Codable, Hashable, Sendable {
    /// The agent started. `found` is the offer in the inbox, which has not been taken up yet.
    case started(found: Offer?)
    /// Time has passed, or an inhibitor was added or removed.
    case tick
    case command(Command)
    /// A local file that a worker has verified and staged.
    case fileOffered(Offer, Artifact)
    case checked(CheckReport)
    case downloaded(versionCode: Int, DownloadResult, DownloadTraffic = DownloadTraffic())
    case installed(InstallID, InstallResult)
    case reported(id: Int, Delivery)
    case configurationChanged
}
