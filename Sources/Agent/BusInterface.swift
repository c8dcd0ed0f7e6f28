import Glibc
import Host
import Systemd
import UpdateCore

/// The agent's D-Bus interface: its names, and the core's values as D-Bus values. The interface is described in
/// packaging/dbus/org.upgradelink.Agent1.xml.
public enum BusInterface {
    public static let name = "org.upgradelink.Agent1"
    public static let path = "/org/upgradelink/Agent1"
    static let polkitAction = "org.upgradelink.manage"
    /// The group whose members may call the methods that change something, as root may.
    static let group = "upgradelink"
    static let maximumInhibitors = 64

    /// The D-Bus error for a command that the core refuses.
    static func error(_ refusal: CommandRefusal) -> BusError {
        refusal.isInvalidArgument
            ? .invalidArguments(refusal.description) : BusError("\(name).Error.NotNow", refusal.description)
    }
}

/// The values of all properties at one moment.
struct BusProperties {
    let values: [(name: String, value: BusValue)]

    init(
        _ state: AgentState, _ context: Context, status: String, hasError: Bool, progress: DownloadProgress?,
        speedLimit: Int, installsAtBoot: Bool = false
    ) {
        let work = state.work
        let installed = context.installed
        let offer = work?.offer
        let deadline = work?.deadline.map { context.unixTime($0) } ?? 0
        var left = 0
        if let work, work.isUpToUser {
            left = max(0, context.policy.maximumDeferrals - work.deferrals)
        }
        var name = ""
        if case .known(_, let known?) = installed { name = known }
        values = [
            ("State", .string(hasError || state.isStuck(context) ? "error" : state.name)),
            ("StatusText", .string(status)),
            ("InstalledVersion", .structure([.number(installed.versionCode ?? 0), .string(name)])),
            (
                "Offer",
                .structure([
                    .number(offer?.versionCode ?? 0), .string(offer?.versionName ?? ""),
                    .string(offer?.upgradeType.word ?? ""), .string(offer?.promptUpgradeContent ?? ""),
                    .number(work?.artifact?.size ?? progress?.total ?? 0),
                ])
            ),
            (
                "Progress",
                .structure([
                    .number(progress?.received ?? 0), .number(progress?.total ?? 0), .number(progress?.rate ?? 0),
                ])
            ),
            ("NextCheck", .uint64(state.poll.isRunning ? 0 : context.unixTime(state.poll.next))),
            ("LastCheck", .number(state.poll.lastResponse.map { Int($0.unixSeconds) } ?? 0)),
            ("LastError", .string(state.lastError ?? "")),
            ("Deadline", .uint64(deadline)),
            ("DeferralsLeft", .uint32(UInt32(clamping: left))),
            ("SpeedLimit", .number(speedLimit)),
            (
                "Inhibitors",
                .array(
                    of: "(sss)",
                    context.inhibitors.map {
                        .structure([
                            .string($0.what.map(\.rawValue).sorted().joined(separator: ":")), .string($0.who),
                            .string($0.why),
                        ])
                    })
            ),
            ("Warnings", .array(of: "s", warnings(state, context).map { .string($0) })),
            ("InstallsAtBoot", .boolean(installsAtBoot)),
        ]
    }

    /// The properties that have changed; all if there are no earlier ones. Times that differ by less than 3 seconds count as
    /// equal, because they are computed from another clock.
    func changes(since before: BusProperties?) -> [(String, BusValue)] {
        guard let before else { return values.map { ($0.name, $0.value) } }
        return zip(values, before.values).compactMap { new, old in
            if ["NextCheck", "Deadline"].contains(new.name), let one = new.value.number, let other = old.value.number,
                one.distance(to: other).magnitude < 3
            {
                return nil
            }
            return new.value == old.value ? nil : (new.name, new.value)
        }
    }
}

extension Attempt {
    /// `(tsstttss)`, as `History` returns it: versionCode, name, type, start and end in Unix seconds, bytes, result, reason.
    var busValue: BusValue {
        .structure([
            .number(versionCode), .string(versionName), .string(upgradeType), .number(Int(started.unixSeconds)),
            .number(Int(ended.unixSeconds)), .number(bytes), .string(result.rawValue), .string(reason),
        ])
    }
}

extension BusValue {
    static func number(_ value: Int) -> BusValue { .uint64(UInt64(max(0, value))) }
}

extension Context {
    /// A moment of this boot in Unix seconds, by the present wall clock.
    func unixTime(_ moment: BootInstant) -> UInt64 {
        UInt64(max(0, min((wallClock + (moment - now)).unixSeconds.rounded(), 1e15)))
    }
}
