import Testing

/// The tests that boot a real systemd. Five containers run at a time, one of each suite: a boot takes a whole core, and a container
/// mostly waits afterwards.
@Suite(.enabled(if: Container.isPossible, "\(Container.requirement)"))
enum SystemTests {
    /// What happens to a device: updates, reboots, sessions.
    @Suite(.serialized) enum Devices {}

    /// Power cuts.
    @Suite(.serialized) enum Power {}

    /// Upgrades, removals and installations of the package, which wait for agents that do not start.
    @Suite(.serialized) enum Upgrades {}

    /// What a publisher and a new user do: the apt repository, the quick start.
    @Suite(.serialized) enum Releases {}

    /// What an operator has: the packages, the units, `doctor`, the documents.
    @Suite(.serialized) enum Packages {}
}
