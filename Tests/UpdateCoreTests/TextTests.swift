import Testing

@testable import UpdateCore

/// How numbers and texts are shown.
@Suite struct TextTests {
    @Test(
        arguments: [
            (-5, "0 s"), (0, "0 s"), (59.4, "59 s"), (59.5, "1 min"), (60, "1 min"), (89, "1 min"), (90, "2 min"),
            (3599, "60 min"), (3600, "1 h"), (3629, "1 h"), (3630, "1 h 1 min"), (20_400, "5 h 40 min"),
            (86_399, "24 h"),
            (86_400, "1 d"), (88_199, "1 d"), (88_200, "1 d 1 h"), (90_000, "1 d 1 h"), (604_800, "7 d"),
        ] as [(Seconds, String)])
    func aDurationIsShown(seconds: Seconds, text: String) { #expect(describe(seconds) == text) }

    @Test(
        arguments: [
            (-3, "0 B"), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9949, "9.9 kB"), (9950, "10 kB"),
            (640_000, "640 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"), (3_100_000, "3.1 MB"),
            (512_000_000, "512 MB"), (999_499_999, "999 MB"), (999_500_000, "1.0 GB"),
        ] as [(ByteCount, String)])
    func aNumberOfBytesIsShown(bytes: ByteCount, text: String) { #expect(describe(bytes: bytes) == text) }

    @Test func aTextIsCutAtItsLimit() {
        #expect("abcdef".sanitized(limit: 6) == "abcdef" && "abcdef".sanitized(limit: 5) == "abcde")
        #expect("  a b  ".sanitized(limit: 10) == "a b" && "abcd   efg".sanitized(limit: 6) == "abcd")
        #expect("ab\ncd".sanitizedLines(limit: 5) == "ab\ncd" && "ab\ncd".sanitizedLines(limit: 4) == "ab\nc")
    }

    @Test(arguments: [
        ("\"a b\"", "a b"), ("'a'", "a"), ("\t a \t", "a"), ("\" a \"", " a "), ("''", ""), ("\"a'", "\"a'"),
        ("\"", "\""), ("a\"b\"", "a\"b\""), ("`a`", "`a`"), ("\"\"a\"\"", "\"a\""), ("", ""),
    ])
    func aPairOfQuotesIsRemoved(text: String, value: String) { #expect(text.unquoted == value) }

    @Test(
        arguments: [
            ("a\nb", "a line break"), ("a\rb", "a line break"), ("\u{1B}[2J", "a control character (U+001B)"),
            ("a\u{2028}", "a control character (U+2028)"), ("a\u{200B}b", "an invisible character (U+200B)"),
            ("\u{E0041}", "an invisible character (U+E0041)"), ("a b\u{200B}\n", "an invisible character (U+200B)"),
            ("abc é 日 ❤️", nil), ("", nil),
        ] as [(String, String?)])
    func theFirstHiddenCharacterIsNamed(text: String, name: String?) { #expect(text.hiddenCharacter == name) }

    @Test func aByteOrderMarkIsRemovedOnce() {
        #expect("\u{FEFF}a".withoutByteOrderMark == "a" && "a\u{FEFF}".withoutByteOrderMark == "a\u{FEFF}")
        #expect("\u{FEFF}\u{FEFF}a".withoutByteOrderMark == "\u{FEFF}a")
    }

    @Test func aPercentageIsAtMostAHundred() {
        #expect("100 %".leadingPercentage == 100 && "101 %".leadingPercentage == nil && "0%".leadingPercentage == 0)
    }

    // MARK: states

    @Test func everyStepHasItsWord() {
        var state = AgentState()
        func name(_ step: Work.Step) -> String {
            state.work = Work(
                offer: World.offer(2), step: step, hasConsent: true, started: WallTime(unixSeconds: 0),
                since: BootInstant(0))
            return state.name
        }
        #expect(name(.downloading) == "downloading" && name(.consent) == "consent" && name(.ready) == "ready")
        #expect(name(.installing(1)) == "installing" && name(.rebooting(1)) == "restart")
        #expect(name(.rebootReady(1, isRollback: false, since: BootInstant(0))) == "restart")
        #expect(name(.later(at: BootInstant(0), why: .cancelled)) == "waiting")
    }

    @Test func withoutAnOfferTheChecksAreTheState() {
        var state = AgentState()
        #expect(state.name == "idle")
        state.poll.isRunning = true
        #expect(state.name == "checking")
        state.poll.isRunning = false
        for (outcome, name) in [
            (Poll.Outcome.succeeded, "idle"), (.failing(failures: 1), "error"), (.misconfigured(failures: 1), "error"),
        ] {
            state.poll.outcome = outcome
            #expect(state.name == name)
        }
        state.poll.outcome = .succeeded
        state.note(Reason("the offered urlPath is unusable", .offerInvalid))
        #expect(state.name == "error")
        state.forgetError()
        #expect(state.name == "idle" && state.lastErrorCode == nil)
        state.note(Reason(String(repeating: "x", count: 2000), .unknown))
        #expect(state.lastError?.count == 1000)
    }

    @Test func theProgressOfADownloadIsShown() {
        let world = offered(2)
        func shown(_ received: ByteCount, _ total: ByteCount) -> String {
            statusText(
                world.state, world.context,
                progress: DownloadProgress(received: received, total: total, rate: 2_000_000))
        }
        #expect(shown(500_000, 2_000_000) == "Downloading v2: 25 % of 2.0 MB, 2.0 MB/s")
        #expect(shown(500_000, 0) == "Downloading v2: 500 kB, 2.0 MB/s")
        #expect(statusText(world.state, world.context) == "Downloading v2")
    }
}
