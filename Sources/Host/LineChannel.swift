import CHost
import Glibc
import UpdateCore

/// Reads lines from another process and writes to it, on the main queue, without blocking.
@MainActor package final class LineChannel {
    private let input: CInt
    private let output: CInt?
    private let limit: Int
    private let onLine: @MainActor (String) -> Void
    private let onEnd: @MainActor () -> Void
    private var reading: DescriptorWatch?
    /// The same object as `reading` if input and output are one socket.
    private var writing: DescriptorWatch?
    private var unsent: ArraySlice<UInt8> = []
    private var passed: OpenFile?
    private var partialLine: [UInt8] = []

    /// The bytes that ``finish()`` reads at most: a process in the background may continue to write. A pipe holds less than
    /// this (pipe(7)).
    private static let drainLimit = 1 << 20

    /// - Parameters:
    ///   - input: the descriptor to read from; may be the same socket as `output`. The channel closes both.
    ///   - limit: bytes; longer lines are cut into pieces.
    ///   - onEnd: called once, at the end of the input, unless the channel has been closed before.
    package init(
        input: CInt, output: CInt? = nil, limit: Int = maximumLineLength,
        onLine: @escaping @MainActor (String) -> Void, onEnd: @escaping @MainActor () -> Void = {}
    ) {
        (self.input, self.output, self.limit, self.onLine, self.onEnd) = (input, output, limit, onLine, onEnd)
        if let output { _ = fcntl(output, F_SETFL, fcntl(output, F_GETFL) | O_NONBLOCK) }
        let reading = DescriptorWatch(input, release: { Glibc.close(input) })
        reading.whenReadable { [weak self] in self?.read() }
        self.reading = reading
        if let output {
            writing = output == input ? reading : DescriptorWatch(output, release: { Glibc.close(output) })
        }
    }

    /// Sends bytes as fast as the other process reads them.
    ///
    /// - Parameter file: passed with the next bytes that are sent; the channel must be a socket.
    package func send(_ bytes: [UInt8], passing file: OpenFile? = nil) {
        unsent += bytes
        passed = file ?? passed
        write()
    }

    package func close() {
        reading?.cancel()
        writing?.cancel()
        (reading, writing) = (nil, nil)
    }

    /// Reads the available input without waiting for its end, and closes the channel.
    package func finish() {
        var taken = 0
        while reading != nil, taken < Self.drainLimit, let count = readSome(), count > 0 { taken += count }
        close()
        if !partialLine.isEmpty { endLine() }
    }

    private func write() {
        guard let output, let watch = writing else { return }
        while !unsent.isEmpty {
            let count = unsent.withUnsafeBytes { bytes in
                if let passed {
                    return Int(upgradelink_send(output, bytes.baseAddress, Int64(bytes.count), passed.descriptor))
                }
                return Glibc.write(output, bytes.baseAddress, bytes.count)
            }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN {
                if !watch.isWatchingForWriting { watch.whenWritable { [weak self] in self?.write() } }
                return
            }
            // If the other end has closed, the lines that it has sent are still read.
            unsent = count < 0 ? [] : unsent.dropFirst(count)
            passed = nil
        }
        unsent = []
        watch.whenWritable(nil)
    }

    private func read() {
        guard let count = readSome(), count <= 0 else { return }
        close()
        if !partialLine.isEmpty { endLine() }
        onEnd()
    }

    /// Reads once; nil if there is nothing to read yet, 0 or less at the end.
    private func readSome() -> Int? {
        // Other processes may share the input, a terminal for example: it is not made non-blocking.
        var waiting = pollfd(fd: input, events: Int16(POLLIN), revents: 0)
        guard poll(&waiting, 1, 0) > 0 else { return nil }
        var chunk = [UInt8](repeating: 0, count: 4096)
        let count = Glibc.read(input, &chunk, chunk.count)
        if count < 0, errno == EAGAIN || errno == EINTR { return nil }
        for byte in chunk[..<max(count, 0)] where reading != nil {
            if byte == 0x0A || partialLine.count >= limit { endLine() }
            if byte != 0x0A { partialLine.append(byte) }
        }
        return count
    }

    private func endLine() {
        let line = String(decoding: partialLine, as: UTF8.self)
        partialLine = []
        onLine(line)
    }
}

/// The maximum length of a line from a worker, in bytes.
package let maximumLineLength = 512 * 1024
