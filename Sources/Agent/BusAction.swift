import Glibc
import Host
import Systemd
import UpdateCore

/// A requested action, from a method call whose arguments have been checked.
enum BusAction {
    case command(Command)
    case installFile(LocalFile)
    case inhibit(Inhibitor)
    /// In bytes per second; 0 for no limit.
    case setSpeedLimit(Int)

    /// Nil if the method is unknown, or the arguments are invalid.
    init?(_ member: String, _ arguments: [BusValue]) {
        let code = arguments.first?.number.flatMap { Int(exactly: $0) }
        switch (member, arguments.count) {
        case ("Check", 0): self = .command(.check)
        case ("Cancel", 0): self = .command(.cancel)
        case ("Accept", 2):
            guard let code, let timing = arguments[1].text.flatMap(Timing.init(rawValue:)) else { return nil }
            self = .command(.accept(versionCode: code, timing))
        case ("Defer", 2):
            guard let code, let seconds = arguments[1].number else { return nil }
            self = .command(.postpone(versionCode: code, Seconds(seconds)))
        case ("Reject", 1):
            guard let code else { return nil }
            self = .command(.reject(versionCode: code))
        case ("Retry", 1):
            guard let code else { return nil }
            self = .command(.retry(versionCode: code))
        case ("InstallFile", 1):
            guard let path = arguments[0].text, path.hasPrefix("/"), path.utf8.count < 4096 else { return nil }
            self = .installFile(.path(path))
        case ("InstallDescriptor", 2):
            guard let artifact = arguments[0].openFile("the artifact"),
                let signature = arguments[1].openFile("the signature")
            else { return nil }
            self = .installFile(.handedOver(artifact: artifact, signature: signature))
        case ("Inhibit", 3):
            guard let what = arguments[0].text.flatMap(Inhibitor.what), let who = arguments[1].text,
                let why = arguments[2].text
            else { return nil }
            self = .inhibit(Inhibitor(what: what, who: who, why: why))
        case ("SetSpeedLimit", 1):
            guard let code else { return nil }
            self = .setSpeedLimit(code)
        default: return nil
        }
    }

    /// The error for a call that ``init(_:_:)`` rejects.
    static func complaint(_ member: String) -> BusError {
        switch member {
        case "Check", "Cancel": .invalidArguments("\(member) takes no arguments")
        case "Accept": .invalidArguments("Accept takes a versionCode (t) and when (s): \"now\" or \"window\"")
        case "Defer": .invalidArguments("Defer takes a versionCode (t) and seconds (t)")
        case "Reject", "Retry": .invalidArguments("\(member) takes a versionCode (t)")
        case "InstallFile": .invalidArguments("InstallFile takes an absolute path (s)")
        case "InstallDescriptor":
            .invalidArguments("InstallDescriptor takes the open artifact (h) and its open signature (h)")
        case "Inhibit":
            .invalidArguments(
                "Inhibit takes what (s), a colon-separated list of download, install and reboot, who (s) and why (s)")
        case "SetSpeedLimit": .invalidArguments("SetSpeedLimit takes bytes per second (t), 0 for no limit")
        default: .unknownMethod("there is no method \(member)")
        }
    }
}

extension BusValue {
    /// A copy of the descriptor that a caller passed, as a file.
    fileprivate func openFile(_ name: String) -> OpenFile? {
        guard case .descriptor(let descriptor) = self else { return nil }
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        return copy < 0 ? nil : OpenFile(descriptor: copy, path: name)
    }
}
