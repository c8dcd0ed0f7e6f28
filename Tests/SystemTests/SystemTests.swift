import Testing

/// The tests that boot a real systemd, one container after another, because each boot takes a whole core.
@Suite(.enabled(if: Container.isPossible, "\(Container.requirement)"), .serialized)
enum SystemTests {}
