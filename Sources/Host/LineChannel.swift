import CHost
import Glibc

/// Lines to and from another process, without ever waiting for it.
final class LineChannel {
    private let input: CInt
    private let output: CInt
    private let limit: Int
    private let onLine: (String) -> Void
    private let onEnd: () -> Void
    private var reading: EventLoop.Watch?
    private var writing: EventLoop.Watch?
    private var unsent: ArraySlice<UInt8> = []
    private var passed: OpenFile?
    private var rest: [UInt8] = []

    /// - Parameters:
    ///   - input: what is read; closed in the end, as is `output`, which may be the same socket.
    ///   - limit: bytes; longer lines are cut into pieces.
    ///   - onEnd: once nothing more can come, unless it is closed before.
    init(
        _ loop: EventLoop, input: CInt, output: CInt, limit: Int = maximumLineLength,
        onLine: @escaping (String) -> Void, onEnd: @escaping () -> Void
    ) {
        (self.input, self.output, self.limit, self.onLine, self.onEnd) = (input, output, limit, onLine, onEnd)
        for descriptor in [input, output] { _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK) }
        reading = loop.watch(input) { [weak self] in self?.read() }
        writing = loop.watch(output) { [weak self] in self?.write() }
        writing?.wantsInput = false
    }

    deinit { close() }

    /// Sends bytes as fast as they are taken.
    ///
    /// - Parameter file: goes with the first byte, where the channel is a socket.
    func send(_ bytes: [UInt8], passing file: OpenFile? = nil) {
        unsent += bytes
        passed = file ?? passed
        write()
    }

    func close() {
        guard let reading, let writing else { return }
        reading.cancel()
        writing.cancel()
        (self.reading, self.writing) = (nil, nil)
        Glibc.close(input)
        if output != input { Glibc.close(output) }
    }

    private func write() {
        while !unsent.isEmpty, let writing {
            let count = unsent.withUnsafeBytes { bytes in
                if let passed {
                    return Int(upgradelink_send(output, bytes.baseAddress, Int64(bytes.count), passed.descriptor))
                }
                return Glibc.write(output, bytes.baseAddress, bytes.count)
            }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN {
                writing.wantsOutput = true
                return
            }
            // Where the other end is gone, whatever it said before is still to be heard.
            unsent = count < 0 ? [] : unsent.dropFirst(count)
            passed = nil
        }
        writing?.wantsOutput = false
        unsent = []
    }

    private func read() {
        var chunk = [UInt8](repeating: 0, count: 4096)
        let count = Glibc.read(input, &chunk, chunk.count)
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        guard count > 0 else {
            close()
            if !rest.isEmpty { endLine() }
            return onEnd()
        }
        for byte in chunk[..<count] where reading != nil {
            if byte == 0x0A || rest.count >= limit { endLine() }
            if byte != 0x0A { rest.append(byte) }
        }
    }

    private func endLine() {
        let line = String(decoding: rest, as: UTF8.self)
        rest = []
        onLine(line)
    }
}

/// Of what workers say.
let maximumLineLength = 512 * 1024
