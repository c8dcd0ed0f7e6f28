public import UpdateCore

/// Lengths of time and sizes as the configuration has them, for programs that are told them elsewhere.
public enum Amount {
    /// `90`, `15min`, `1h 30min`; nil for anything else.
    public static func seconds(_ text: String) -> Seconds? { Quantity.seconds(text) }

    /// `65536`, `512K`, `64MB`; nil for anything else.
    public static func bytes(_ text: String) -> Int? { Quantity.bytes(text) }
}
