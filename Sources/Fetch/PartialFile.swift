import Glibc
import Host
import UpdateCore

/// The file that a download appends to, with a note next to it that says which file it is a part of.
final class PartialFile {
    /// What must be unchanged for a download to resume instead of starting over.
    struct Origin: Codable, Equatable, Sendable {
        var url: String
        /// A strong ETag, or a Last-Modified date, as `If-Range` wants it (RFC 9110, section 13.1.5). Only a file that is not
        /// verified needs it.
        var validator: String?
        var total: ByteCount?
    }

    struct Note: Codable, Sendable {
        var origin: Origin
        /// Bytes that are known to be on the disk, not only in memory.
        var synced: ByteCount
        /// The boot id at the time of the note. In the same boot, bytes in the page cache are not lost.
        var bootID: String
        /// The download ended because of a full disk, and its size is unknown: it is not worth a request before this many bytes
        /// are free.
        var freeNeeded: ByteCount?
        /// The size at which a response ended that did not mark its end.
        var unmarkedEnd: ByteCount?
        /// Responses that sent another file: their length, and how many there were in a row. Missing: none.
        var other: Other?
        /// The requests in a row that brought nothing. Missing: none.
        var refusals: Int?
    }

    struct Other: Codable, Equatable, Sendable {
        /// Nil if the response had no length.
        var total: ByteCount?
        var count: Int
    }

    /// How many responses must send another file of the same length before it replaces the part that is there: a filter or a
    /// captive portal must not destroy it, but the published file may have been replaced. A file that is small, or has no length, is
    /// more likely a filter's text; with the default back-off, twelve tries take more than a day.
    private static func otherLimit(_ total: ByteCount?, _ size: ByteCount) -> Int {
        total ?? 0 >= min(size, 100_000) ? 3 : 12
    }
    /// A host that refuses ranges may have the whole file: one of so many requests is for that.
    private static let wholeEvery = 4

    private static let noteLimit = 65_536

    let file: OpenFile
    private let notePath: String
    private let bootID: String
    private var note: Note
    private(set) var size: ByteCount
    /// Bytes whose write-out to the disk has begun.
    private var begun: ByteCount = 0
    /// Bytes whose write-out to the disk has ended.
    private var finished: ByteCount = 0

    /// Opens the file of an earlier run, and truncates it to the bytes that may be right.
    ///
    /// - Parameter isVerified: the complete file is verified, so bytes from another address and without a validator may be right.
    init(_ path: String, url: String, isVerified: Bool) throws(SystemError) {
        bootID = try Clock.bootID()
        notePath = path + ".json"
        for path in [path, notePath] { try Files.removeUnlessRegular(path) }
        file = try OpenFile(path, O_RDWR | O_CREAT | O_NOFOLLOW)
        try file.requireRegular()
        let found = try? StoredFile.read(Note.self, from: notePath, limit: Self.noteLimit)?.value
        size = 0
        note = Note(origin: Origin(url: url), synced: 0, bootID: bootID)
        if let found, isVerified || found.origin.url == url && found.origin.validator != nil {
            // After a power cut, the file may have its full length but not its content.
            size = min(try file.size, found.bootID == bootID ? ByteCount.max : found.synced)
            note.origin = found.origin
            note.synced = min(found.synced, size)
            note.unmarkedEnd = found.unmarkedEnd
            note.other = found.other
            if found.origin.url == url { (note.freeNeeded, note.refusals) = (found.freeNeeded, found.refusals) }
            note.origin.url = url
        }
        if try file.size != size { try file.truncate(to: size) }
        try file.seek(to: size)
        begun = size
        finished = size
    }

    var origin: Origin { note.origin }

    var isComplete: Bool { size > 0 && size == note.origin.total }

    var freeNeeded: ByteCount? { note.freeNeeded }
    var unmarkedEnd: ByteCount? { note.unmarkedEnd }

    /// Drops the bytes behind this offset, which are not those of the file.
    func shorten(to offset: ByteCount) throws(SystemError) {
        try file.truncate(to: offset)
        try file.seek(to: offset)
        size = offset
        begun = min(begun, offset)
        finished = min(finished, offset)
        note.origin.total = nil
        note.synced = min(note.synced, offset)
        try writeNote()
    }

    /// The next request is for the whole file, because the host has refused ranges several times.
    var wantsWhole: Bool { (note.refusals ?? 0) % Self.wholeEvery == Self.wholeEvery - 1 }

    /// Notes a response that brought nothing to the part.
    func noteRefusal() {
        guard size > 0 else { return }
        note.refusals = (note.refusals ?? 0) % 1000 + 1
        try? writeNote()
    }

    /// Notes that a response sends another file.
    ///
    /// - Returns: whether that file replaces this one.
    func isReplaced(byTotal total: ByteCount?) -> Bool {
        // Without a length, the part itself is doubtful.
        if note.origin.total == nil { return true }
        let count = note.other.map { $0.total == total ? $0.count + 1 : 1 } ?? 1
        note.other = Other(total: total, count: count)
        try? writeNote()
        return count >= Self.otherLimit(total, size)
    }

    /// Notes where the next bytes come from.
    func begin(_ origin: Origin) throws(SystemError) {
        note.origin = origin
        (note.freeNeeded, note.other, note.refusals) = (nil, nil, nil)
        try writeNote()
    }

    /// Notes how large the complete file is.
    func end(at total: ByteCount?, unmarkedEnd: ByteCount?) throws(SystemError) {
        note.origin.total = total
        note.unmarkedEnd = unmarkedEnd
        try writeNote()
    }

    func awaitSpace(_ bytes: ByteCount) {
        note.freeNeeded = bytes
        try? writeNote()
    }

    /// Reserves disk space for the whole file, so that a full disk is detected before the download and not after an hour.
    func reserve(_ total: ByteCount) throws(SystemError) {
        guard total > size else { return }
        try file.reserve(from: size, count: total - size)
    }

    /// The bytes behind the end of the file for which disk space is reserved.
    var reserved: ByteCount { max(0, file.allocatedSize - size) }

    /// How many of the bytes, from the first one on, are those of the file at this offset.
    func matching(_ bytes: RawSpan, at offset: ByteCount) throws(SystemError) -> Int {
        var buffer = [UInt8](repeating: 0, count: min(bytes.byteCount, 64 * 1024))
        var matched = 0
        while matched < bytes.byteCount {
            let count = try file.read(into: &buffer, at: offset + ByteCount(matched))
            let wanted = min(count, bytes.byteCount - matched)
            guard wanted > 0 else { break }
            let equal = bytes.extracting(matched..<matched + wanted).withUnsafeBytes { other in
                zip(other, buffer).prefix { $0 == $1 }.count
            }
            matched += equal
            if equal < wanted { break }
        }
        return matched
    }

    func append(_ bytes: RawSpan) throws(SystemError) {
        try file.write(bytes)
        size += ByteCount(bytes.byteCount)
    }

    /// Writes received bytes to the disk in steps, because one large write-out would delay other processes. Begins a step and
    /// waits for the end of the previous one.
    func writeOut(_ priority: DownloadPriority, keepCache: ByteCount) {
        guard priority.flushEvery > 0, size - begun >= priority.flushEvery else { return }
        file.beginWriteOut(from: begun, count: size - begun)
        if begun > finished {
            file.finishWriteOut(
                from: finished, count: begun - finished, keepingCacheBefore: keepCache)
            finished = begun
        }
        begun = size
    }

    /// Syncs the received bytes to the disk, so that they survive a power cut.
    func synchronize() throws(SystemError) {
        guard note.synced < size else { return }
        try file.synchronize()
        note.synced = size
        try writeNote()
    }

    var unsynced: ByteCount { size - note.synced }

    private func writeNote() throws(SystemError) {
        // A value of strings and integers always encodes.
        let bytes = (try? StoredFile.encode(note)) ?? []
        try StoredFile.write(bytes, to: notePath, limit: Self.noteLimit)
    }

    static func discard(_ path: String) {
        unlink(path)
        unlink(path + ".json")
    }
}
