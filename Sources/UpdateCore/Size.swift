/// A number of bytes that memory does not limit: the size of a file, a position in it, disk space, a rate per second.
///
/// `Int` has 32 bits on some devices, and files have more bytes than that. Lengths of arrays stay `Int`.
public typealias ByteCount = Int64

/// Renders a size as the operator wrote it, for options such as `download.speedLimit = "2M"`: an exact multiple of 1024 in the
/// largest power of 1024 that divides it (`2 MiB`, `512 KiB`), any other number as ``describe(bytes:)`` does (`2.0 MB`).
///
/// - Parameter bytes: negative counts as 0.
public func describe(configuredSize bytes: ByteCount) -> String {
    guard bytes > 0, bytes % 1024 == 0 else { return describe(bytes: bytes) }
    var value = bytes
    var unit = 0
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while value % 1024 == 0, unit < units.count - 1 {
        value /= 1024
        unit += 1
    }
    return "\(value) \(units[unit])"
}
