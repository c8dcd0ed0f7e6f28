import Host

/// The content of an image file: raw, or what a program decompresses.
struct ImageSource {
    /// The formats by their first bytes, and the program that decompresses each.
    private static let formats: [(start: [UInt8], program: String)] = [
        ([0x1F, 0x8B], "gzip"), ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00], "xz"), ([0x28, 0xB5, 0x2F, 0xFD], "zstd"),
    ]

    private let file: OpenFile
    /// Bytes of the file.
    let size: Int64
    private let program: String?

    init(_ file: OpenFile) throws {
        self.file = file
        size = try file.size
        var start = [UInt8](repeating: 0, count: 6)
        let count = try file.read(into: &start, at: 0)
        program = Self.formats.first { start[..<count].starts(with: $0.start) }?.program
    }

    /// The bytes of the image; nil if only the decompression tells.
    var imageSize: Int64? { program == nil ? size : nil }

    /// Reads the image.
    ///
    /// - Parameter onBytes: gets the next bytes, and how many of the file's bytes have been read.
    func read(_ onBytes: (RawSpan, Int64) throws -> Void) throws {
        guard let program else { return try readRaw(onBytes) }
        try file.seek(to: 0)
        let process: FilterProcess
        do throws(SystemError) {
            process = try FilterProcess(program, ["-d", "-c"], input: file)
        } catch {
            throw ModuleError("\(error): install \(program), or publish the image with another compression")
        }
        var buffer = [UInt8](repeating: 0, count: 1 << 18)
        while case let count = try process.read(into: &buffer), count > 0 {
            try onBytes(buffer.span.extracting(first: count).bytes, file.position)
        }
        let end = process.end()
        guard end.succeeded else { throw ModuleError("the image cannot be decompressed: \(program): \(end)") }
    }

    private func readRaw(_ onBytes: (RawSpan, Int64) throws -> Void) throws {
        let reader = SequentialReader(file, size: size, cached: 0)
        var done: Int64 = 0
        var failure: (any Error)?
        while failure == nil {
            let count = try reader.next { bytes in
                done += Int64(bytes.byteCount)
                do { try onBytes(bytes, done) } catch { failure = error }
            }
            if count == 0 { break }
        }
        if let failure { throw failure }
    }
}
