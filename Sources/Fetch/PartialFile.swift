import Glibc
import Host
import UpdateCore

/// The file that a download grows, and beside it a note of what it is a part of.
final class PartialFile {
    /// What must be the same for a download to go on instead of starting over.
    struct Origin: Codable, Equatable, Sendable {
        var url: String
        /// A strong ETag, or a Last-Modified date, as `If-Range` wants it (RFC 9110, section 13.1.5).
        var validator: String?
        var total: Int?
    }

    struct Note: Codable, Sendable {
        var origin: Origin
        /// Bytes that are known to be on the disk, not only in memory.
        var synced: Int
        /// The boot in which the note was written: within it, memory is as good as the disk.
        var bootID: String
    }

    private static let noteLimit = 65_536

    let file: OpenFile
    private let notePath: String
    private let bootID: String
    private var note: Note
    private(set) var size: Int
    /// The bytes that are on their way to the disk, or there.
    private var begun = 0
    private var finished = 0

    /// Opens what an earlier run left, as far as it can be trusted.
    init(_ path: String, url: String) throws(SystemError) {
        bootID = try Clock.bootID()
        notePath = path + ".json"
        file = try OpenFile(path, O_RDWR | O_CREAT)
        let found = try? StoredFile.read(Note.self, from: notePath, limit: Self.noteLimit)?.value
        size = 0
        note = Note(origin: Origin(url: url), synced: 0, bootID: bootID)
        if let found, found.origin.url == url, found.origin.validator != nil {
            // After a power cut the file may have its length but not its content.
            size = min(try file.size, found.bootID == bootID ? Int.max : found.synced)
            note.origin = found.origin
            note.synced = min(found.synced, size)
        }
        if try file.size != size { try file.truncate(to: size) }
        try file.seek(to: size)
        begun = size
        finished = size
    }

    var origin: Origin { note.origin }

    var isComplete: Bool { size > 0 && size == note.origin.total }

    func startOver() throws(SystemError) {
        try file.truncate(to: 0)
        try file.seek(to: 0)
        size = 0
        begun = 0
        finished = 0
        note = Note(origin: Origin(url: note.origin.url), synced: 0, bootID: bootID)
        try? Files.remove(notePath)
    }

    func begin(_ origin: Origin) throws(SystemError) {
        note.origin = origin
        try writeNote()
    }

    /// Claims the space for what is to come, so that a full disk shows now and not after an hour.
    func reserve(_ total: Int) throws(SystemError) {
        guard total > size else { return }
        try file.reserve(from: size, count: total - size)
    }

    func append(_ bytes: RawSpan) throws(SystemError) {
        try file.write(bytes)
        size += bytes.byteCount
    }

    /// Writes what came to the disk in steps, so that it does not all wait in memory and then hold everybody up: begins one,
    /// and sees the one before to its end.
    func writeOut(_ courtesy: DownloadCourtesy) {
        guard courtesy.flushEvery > 0, size - begun >= courtesy.flushEvery else { return }
        file.beginWriteOut(from: begun, count: size - begun)
        if begun > finished {
            file.finishWriteOut(from: finished, count: begun - finished, keepCache: courtesy.keepCache)
            finished = begun
        }
        begun = size
    }

    /// Makes what was received last through a power cut.
    func synchronize() throws(SystemError) {
        guard note.synced < size else { return }
        try file.synchronize()
        note.synced = size
        try writeNote()
    }

    var unsynced: Int { size - note.synced }

    private func writeNote() throws(SystemError) {
        // Strings and integers alone cannot fail to encode.
        let bytes = (try? StoredFile.encode(note)) ?? []
        try StoredFile.write(bytes, to: notePath, limit: Self.noteLimit)
    }

    static func discard(_ path: String) {
        unlink(path)
        unlink(path + ".json")
    }
}
