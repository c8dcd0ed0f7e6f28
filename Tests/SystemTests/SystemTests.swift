import Testing

/// The tests that boot a real systemd. Two containers run at a time, one of each suite, because a boot takes a whole core and
/// a container mostly waits afterwards.
@Suite(.enabled(if: Container.isPossible, "\(Container.requirement)"))
enum SystemTests {
    /// What happens to a device: updates, reboots, power cuts, sessions.
    @Suite(.serialized) enum Devices {}

    /// What an operator has: the packages, the units, `doctor`, the documents.
    @Suite(.serialized) enum Packages {}
}
