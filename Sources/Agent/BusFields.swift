import Systemd
import UpdateCore

// The core's values as dictionaries (`a{sv}`), each next to the description of its fields.

extension Offer {
    static let busFields = [
        BusField("versionCode", "t", "The version's number."),
        BusField("versionName", "s", "The version's name."),
        BusField("upgradeType", "s", "prompt, silent, forced or unknown (handled as prompt)."),
        BusField(
            "text", "s", "The publisher's text for the user: at most 4096 characters, in any language; may be empty."),
        BusField("size", "t", "The size of the file in bytes; 0 if it is not known yet."),
        BusField("source", "s", "server, or file for a local file."),
    ]

    /// - Parameter size: bytes; 0 if it is not known.
    func busValue(size: ByteCount) -> BusValue {
        .dictionary([
            ("versionCode", .number(versionCode)), ("versionName", .string(versionName)),
            ("upgradeType", .string(upgradeType.word)), ("text", .string(promptUpgradeContent)),
            ("size", .number(size)), ("source", .string(source.rawValue)),
        ])
    }
}

extension Inhibitor {
    static let busFields = [
        BusField("what", "s", "The words download, install and reboot, separated by colons."),
        BusField("who", "s", "The program that holds it."),
        BusField("why", "s", "Its reason; may be empty."),
    ]

    var busValue: BusValue {
        .dictionary([
            ("what", .string(what.map(\.rawValue).sorted().joined(separator: ":"))), ("who", .string(who)),
            ("why", .string(why)),
        ])
    }
}

extension RefusedVersion {
    static let busFields = [
        BusField("versionCode", "t", "The version's number."),
        BusField("versionName", "s", "The version's name; empty if it is no longer known."),
        BusField("why", "s", "rejected (by the user) or blocked (after too many failures)."),
        BusField("failures", "t", "How often it failed."),
        BusField("reason", "s", "The reason of the last failure, or of the rejection, for people."),
        BusField("reasonCode", "s", "The same for programs."),
    ]

    var busValue: BusValue {
        .dictionary([
            ("versionCode", .number(versionCode)), ("versionName", .string(versionName)),
            ("why", .string(why.rawValue)),
            ("failures", .number(failures)), ("reason", .string(reason.text)),
            ("reasonCode", .string(reason.code.rawValue)),
        ])
    }
}

extension Attempt {
    static let busFields = [
        BusField("versionCode", "t", "The version's number."),
        BusField("versionName", "s", "The version's name."),
        BusField("upgradeType", "s", "prompt, silent, forced or unknown."),
        BusField("started", "t", "When the attempt began, in seconds since 1970."),
        BusField("ended", "t", "When it ended, in seconds since 1970."),
        BusField("bytes", "t", "The size of the verified file; 0 if there was none."),
        BusField(
            "result", "s",
            "installed, rolledBack, failed, refused (the installer did not accept the file), gone (the file was missing), rejected, replaced, dropped (it no longer applied) or interrupted (not counted, and tried again)."
        ),
        BusField("reason", "s", "The reason for people; empty for an installed version."),
        BusField(
            "reasonCode", "s", "The same for programs; empty for an installed version, or one that 0.1.0 recorded."
        ),
        BusField("source", "s", "server, or file for a local file; empty for one that 0.1.0 recorded."),
    ]

    var busValue: BusValue {
        .dictionary([
            ("versionCode", .number(versionCode)), ("versionName", .string(versionName)),
            ("upgradeType", .string(upgradeType)), ("started", .number(started.wholeSeconds)),
            ("ended", .number(ended.wholeSeconds)), ("bytes", .number(bytes)), ("result", .string(result.rawValue)),
            ("reason", .string(reason)), ("reasonCode", .string(reasonCode?.rawValue ?? "")),
            ("source", .string(source?.rawValue ?? "")),
        ])
    }
}

extension BusValue {
    static func number(_ value: Int64) -> BusValue { .uint64(UInt64(max(0, value))) }
    static func number(_ value: Int) -> BusValue { .number(Int64(value)) }
}
