import Glibc
import Host
import Systemd
import UpdateCore

/// The names of the agent on D-Bus. BusMethod, BusProperty and BusSignal describe its interface.
public enum BusInterface {
    public static let name = "org.upgradelink.Agent1"
    public static let path = "/org/upgradelink/Agent1"
    static let polkitAction = "org.upgradelink.manage"
    /// The group whose members may call the methods that change something, as root may.
    static let group = "upgradelink"
    static let maximumInhibitors = 64

    /// The D-Bus error for a command that the core refuses.
    static func error(_ refusal: CommandRefusal) -> BusErrorName {
        refusal.isInvalidArgument ? .invalidArguments : .notNow
    }
}

/// The values of all properties at one moment.
struct BusProperties {
    let values: [(property: BusProperty, value: BusValue)]

    init(
        _ state: AgentState, _ context: Context, status: String, hasError: Bool, progress: DownloadProgress?,
        speedLimit: ByteCount, installsAtBoot: Bool = false
    ) {
        values = BusProperty.allCases.map { property in
            let value: BusValue =
                switch property {
                case .state: .string(hasError || state.isStuck(context) ? "error" : state.name)
                case .statusText: .string(status)
                case .installedVersion: Self.installed(context.installed)
                case .offer: Self.offer(state.work, progress)
                case .progress:
                    .structure([
                        .number(progress?.received ?? 0), .number(progress?.total ?? 0), .number(progress?.rate ?? 0),
                    ])
                case .nextCheck: .uint64(state.poll.isRunning ? 0 : context.unixTime(state.poll.next))
                case .lastCheck: .number(state.poll.lastResponse?.wholeSeconds ?? 0)
                case .lastError: .string(state.lastError ?? "")
                case .lastErrorCode: .string(state.lastErrorCode?.rawValue ?? "")
                case .deadline: .uint64(state.work?.deadline.map { context.unixTime($0) } ?? 0)
                case .deferralsLeft: .uint32(UInt32(clamping: Self.deferralsLeft(state.work, context.policy)))
                case .speedLimit: .number(speedLimit)
                case .inhibitors: .array(of: "a{sv}", context.inhibitors.map(\.busValue))
                case .warnings: .array(of: "s", warnings(state, context).map { .string($0) })
                case .installsAtBoot: .boolean(installsAtBoot)
                case .refusedVersions: .array(of: "a{sv}", state.refusedVersions(context).map(\.busValue))
                }
            return (property, value)
        }
    }

    private static func installed(_ version: InstalledVersion) -> BusValue {
        var name = ""
        if case .known(_, let known?) = version { name = known }
        return .structure([.number(version.versionCode ?? 0), .string(name)])
    }

    private static func offer(_ work: Work?, _ progress: DownloadProgress?) -> BusValue {
        guard let work else { return .dictionary([]) }
        return work.offer.busValue(size: work.artifact?.size ?? progress?.total ?? 0)
    }

    private static func deferralsLeft(_ work: Work?, _ policy: Policy) -> Int {
        guard let work, work.isUpToUser else { return 0 }
        return max(0, policy.maximumDeferrals - work.deferrals)
    }

    /// All values by the names of the properties.
    var fields: [(String, BusValue)] { values.map { ($0.property.rawValue, $0.value) } }

    /// The properties that have changed; all if there are no earlier ones. Times that differ by less than 3 seconds count as
    /// equal, because they are computed from another clock.
    func changes(since before: BusProperties?) -> [(String, BusValue)] {
        guard let before else { return fields }
        return zip(values, before.values).compactMap { new, old in
            if new.property.isComputedTime, let one = new.value.number, let other = old.value.number,
                one.distance(to: other).magnitude < 3
            {
                return nil
            }
            return new.value == old.value ? nil : (new.property.rawValue, new.value)
        }
    }
}

extension Context {
    /// A moment of this boot in Unix seconds, by the present wall clock.
    func unixTime(_ moment: BootInstant) -> UInt64 {
        UInt64((wallClock + (moment - now)).wholeSeconds)
    }
}

extension BusCall {
    /// Replies with an error. The agent sends no other errors than these, which org.upgradelink.Agent1(5) lists.
    func refuse(_ name: BusErrorName, _ line: String) { fail(BusError(name.rawValue, line)) }
}
