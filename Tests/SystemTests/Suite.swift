import Host
import TestSupport
import Testing

/// A release of Debian, of which packaging/dependencies.sh makes a minimal root directory with systemd and D-Bus.
enum Suite: String, CaseIterable, Sendable, CustomTestStringConvertible {
    /// Debian 12, with systemd 252.
    case bookworm
    /// Debian 13, with systemd 257.
    case trixie

    var archive: String { "\(repositoryDirectory)/.cache/debian/\(rawValue).tar" }

    /// What apt installs without a network: what our packages depend on and recommend.
    var packages: String { "\(repositoryDirectory)/.cache/debian/\(rawValue)-apt.tar" }

    /// Those whose root directory is there: without root, packaging/dependencies.sh makes none.
    static var available: [Suite] { allCases.filter { Files.exists($0.archive) && Files.exists($0.packages) } }

    var testDescription: String { rawValue }
}
