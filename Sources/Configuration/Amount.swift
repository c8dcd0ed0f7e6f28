public import UpdateCore

/// Durations and sizes in the form of the configuration, for arguments of commands.
public enum Amount {
    /// `90`, `15min`, `1h 30min`; nil for anything else.
    public static func seconds(_ text: String) -> Seconds? { Quantity.seconds(text) }

    /// `65536`, `512K`, `64MB`; nil for anything else.
    public static func bytes(_ text: String) -> ByteCount? { Quantity.bytes(text) }

    /// The units of ``seconds(_:)``, sorted.
    package static var durationUnits: [String] { Quantity.durationUnits.keys.sorted() }

    /// The units of ``bytes(_:)``, sorted.
    package static var sizeUnits: [String] { Quantity.sizeUnits.keys.sorted() }
}
