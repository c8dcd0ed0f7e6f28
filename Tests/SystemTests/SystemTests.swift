import Testing

/// Everything that boots a real systemd, one container after the other: each takes a core of its own while it boots.
@Suite(.enabled(if: Container.isPossible, "\(Container.requirement)"), .serialized)
enum SystemTests {}
