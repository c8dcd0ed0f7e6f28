import Host

/// The installer and its modules have no network (`PrivateNetwork=`, systemd.exec(5)). A module that needs the network runs in
/// the network namespace of PID 1 (nsenter(1)).
enum NetworkNamespace {
    /// Whether this process has another network namespace than PID 1; false if it may not read that.
    static var isPrivate: Bool {
        guard let own = Files.linkTarget("/proc/self/ns/net"), let device = Files.linkTarget("/proc/1/ns/net") else {
            return false
        }
        return own != device
    }

    /// The start of a command line that runs a program in the namespace of PID 1.
    static let leaving = ["/usr/bin/nsenter", "--net=/proc/1/ns/net", "--"]
}
