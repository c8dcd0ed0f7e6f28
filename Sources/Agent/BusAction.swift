import Systemd
import UpdateCore

/// A requested action, from a method call whose arguments have been checked.
enum BusAction {
    case command(Command)
    /// An absolute path.
    case installFile(path: String)
    /// The artifact and its signature, whose descriptors are still in the call.
    case installDescriptors
    case inhibit(Inhibitor)
    /// In bytes per second; 0 for no limit.
    case setSpeedLimit(ByteCount)

    /// Nil if the method is no action, or the arguments are invalid.
    init?(_ method: BusMethod, _ arguments: [BusValue]) {
        let code = arguments.first?.number.flatMap { Int(exactly: $0) }
        switch (method, arguments.count) {
        case (.check, 0): self = .command(.check)
        case (.cancel, 0): self = .command(.cancel)
        case (.accept, 2):
            guard let code, let timing = arguments[1].text.flatMap(Timing.init(rawValue:)) else { return nil }
            self = .command(.accept(versionCode: code, timing))
        case (.postpone, 2):
            guard let code, let seconds = arguments[1].number else { return nil }
            self = .command(.postpone(versionCode: code, Seconds(seconds)))
        case (.reject, 1):
            guard let code else { return nil }
            self = .command(.reject(versionCode: code))
        case (.retry, 1):
            guard let code else { return nil }
            self = .command(.retry(versionCode: code))
        case (.installFile, 1):
            guard let path = arguments[0].text, path.hasPrefix("/"), path.utf8.count < 4096 else { return nil }
            self = .installFile(path: path)
        case (.installDescriptor, 2): self = .installDescriptors
        case (.inhibit, 3):
            guard let what = arguments[0].text.flatMap(Inhibitor.what), let who = arguments[1].text,
                let why = arguments[2].text
            else { return nil }
            self = .inhibit(Inhibitor(what: what, who: who, why: why))
        case (.setSpeedLimit, 1):
            guard let limit = arguments[0].number.flatMap({ ByteCount(exactly: $0) }) else { return nil }
            self = .setSpeedLimit(limit)
        default: return nil
        }
    }
}
