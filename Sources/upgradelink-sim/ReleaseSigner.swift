import Glibc
import Host

/// Signs with minisign, which asks for the password of the key on the terminal if it has one.
struct ReleaseSigner {
    private let key: String

    /// - Parameter key: the path of the secret key; nil for the one that minisign uses by default.
    /// - Throws: if there is no such key.
    init(key: String?) throws {
        self.key = key ?? "\(Self.defaultDirectory)/minisign.key"
        guard Files.exists(self.key) else {
            let option = key.map { "-p \(Self.publicName(for: $0)) -s \($0)" }
            throw CommandFailure(
                "there is no secret key \(self.key): make one with minisign -G"
                    + (option.map { " \($0)" } ?? ", or name one with --key"), status: EX_NOINPUT)
        }
    }

    var shownKey: String { key }

    private static func publicName(for key: String) -> String {
        (key.hasSuffix(".key") ? String(key.dropLast(4)) : key) + ".pub"
    }

    /// As minisign(1) says.
    private static var defaultDirectory: String {
        if let directory = getenv("MINISIGN_CONFIG_DIR") { return String(cString: directory) }
        return "\(getenv("HOME").map { String(cString: $0) } ?? "")/.minisign"
    }

    /// Signs a file; the signature is at `FILE.minisig`.
    ///
    /// - Parameter comment: the trusted comment.
    func sign(_ file: String, comment: String, _ interruption: Interruption) throws {
        let program = Program(
            "minisign", ["-S", "-H", "-s", key, "-m", file, "-x", "\(file).minisig", "-t", comment],
            streams: .inherited, timeLimit: nil)
        let end = program.runAndWait(onErrorLine: { _ in })
        try interruption.check()
        switch end {
        case .exited(0): return
        case .couldNotStart(let reason):
            throw CommandFailure(
                "minisign cannot be started: \(reason): install it (apt install minisign)", status: EX_UNAVAILABLE)
        default:
            throw CommandFailure(
                "minisign could not sign with \(key): \(end): check the password and the key; nothing was released",
                status: EX_UNAVAILABLE)
        }
    }
}
