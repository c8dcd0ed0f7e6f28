import Host

/// The installer has no network (`PrivateNetwork=`, systemd.exec(5)), and neither have its modules, but for those that
/// need one: they run in the namespace of PID 1 (nsenter(1)).
enum NetworkNamespace {
    /// Whether this process is in another one than PID 1; no where it may not know.
    static var isPrivate: Bool {
        guard let own = Files.linkTarget("/proc/self/ns/net"), let box = Files.linkTarget("/proc/1/ns/net") else {
            return false
        }
        return own != box
    }

    static let leaving = ["/usr/bin/nsenter", "--net=/proc/1/ns/net", "--"]
}
