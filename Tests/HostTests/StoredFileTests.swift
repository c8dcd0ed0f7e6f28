import FoundationEssentials
import Glibc
import Host
import TestSupport
import Testing
import UpdateCore

/// Files that another version may have written, or must be able to read.
@Suite struct StoredFileTests {
    private struct Note: Codable, Equatable, Sendable {
        var text: String
        var count: Int?

        enum CodingKeys: String, CodingKey { case text, count }

        init(_ text: String) { self.text = text }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            text = try container.decode(String.self, forKey: .text)
            count = try container.decodeIfPresent(Int.self, forKey: .count)
        }
    }

    private let scratch: Scratch
    private var path: String { "\(scratch.path)/note.json" }

    init() throws { scratch = try Scratch() }

    @Test func aFileHasTheNumberOfItsFormat() throws {
        try StoredFile.write(Note("a/b"), to: path, limit: 1000)
        #expect(try scratch.read("note.json") == #"{"format":2,"text":"a/b"}"#)
        #expect(try StoredFile.read(Note.self, from: path, limit: 1000)?.value == Note("a/b"))
        // What is stored is for the agent only.
        var status = stat()
        #expect(lstat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
    }

    @Test func contentOfExactlyTheLimitIsStoredAndALongerOneIsNot() throws {
        let bytes = try StoredFile.encode(Note("long enough"))
        try StoredFile.write(bytes, to: path, limit: bytes.count)
        #expect(code { try StoredFile.write(bytes + [0x20], to: path, limit: bytes.count) } == EFBIG)
        #expect(code { try StoredFile.write(Note("much longer than that"), to: path, limit: bytes.count) } == EFBIG)
        #expect(try StoredFile.read(Note.self, from: path, limit: bytes.count)?.value == Note("long enough"))
        #expect(code { _ = try StoredFile.read(Note.self, from: path, limit: bytes.count - 1) } == EFBIG)
    }

    @Test func noFileIsNoError() throws {
        #expect(try StoredFile.read(Note.self, from: path, limit: 1000) == nil)
        #expect(try StoredFile.read(Note.self, from: "\(path)/below/nothing", limit: 1000) == nil)
        try Files.createDirectory(path)
        #expect(code { _ = try StoredFile.read(Note.self, from: path, limit: 1000) } == EISDIR)
    }

    @Test func aDamagedFileIsAnError() throws {
        for text in ["", "{", "[]", #"{"count":1}"#] {
            try scratch.write("note.json", text)
            #expect(throws: DecodingError.self) { try StoredFile.read(Note.self, from: path, limit: 1000) }
        }
    }

    /// A later version may have changed a field: the rest is read, and the log names the field.
    @Test func fieldsThatCannotBeReadAreNamed() throws {
        let text = #"{"format":9,"urlKey":"k","versionCode":2,"urlPath":"http://h/f","versionName":7,"later":1}"#
        let found = try StoredFile.decode(Offer.self, from: Array(text.utf8))
        #expect(found.value.versionCode == 2 && found.unreadable == ["versionName"])
        #expect(try StoredFile.decode(Offer.self, from: StoredFile.encode(found.value)).unreadable.isEmpty)
    }
}
