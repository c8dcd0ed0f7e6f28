import Glibc
import Testing

@testable import Modules

/// Modes as chmod(1) takes them, for files that have some already.
@Suite struct PermissionsTests {
    /// Without u, g, o or a, what the umask 022 takes from new files is neither given nor taken: an installed program must not
    /// become writable for others because of `+w`.
    @Test(
        arguments: [
            ("+w", 0o400, 0o600), ("+rwx", 0, 0o755), ("=rw", 0o700, 0o644), ("-w", 0o666, 0o466), ("=u", 0o700, 0o755),
            ("=", 0o777, 0), ("+w,+x", 0o444, 0o755), ("+t", 0o755, 0o1755),
        ] as [(String, mode_t, mode_t)])
    func aClauseWithoutAClassFollowsTheUmask(text: String, before: mode_t, after: mode_t) {
        #expect(Permissions.mode(text, of: before) == after)
    }

    @Test(
        arguments: [
            ("a+w", 0o400, 0o622), ("ugo=rw", 0, 0o666), ("a-w", 0o666, 0o444), ("g+w", 0o644, 0o664),
            ("go=u", 0o700, 0o777),
        ] as [(String, mode_t, mode_t)])
    func aClauseWithAClassDoesNot(text: String, before: mode_t, after: mode_t) {
        #expect(Permissions.mode(text, of: before) == after)
    }
}
