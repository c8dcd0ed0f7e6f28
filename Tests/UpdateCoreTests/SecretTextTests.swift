import Testing

@testable import UpdateCore

/// What is hidden in texts that users, terminals and logs see.
@Suite struct SecretTextTests {
    @Test func hiddenCharactersAreRemoved() {
        for (text, shown) in [
            ("a\u{1B}[2Jb", "a [2Jb"), ("a\r\nb", "a  b"), ("a\u{9B}31mb", "a 31mb"), ("a\u{7}\u{8}b", "a  b"),
            ("a\u{2028}b\u{2029}c", "a b c"), ("a\u{202E}b\u{2066}c\u{61C}d\u{200E}e", "abcde"),
            ("a\u{FEFF}\u{200B}b", "ab"),
            ("a\u{E0041}\u{E007F}\u{E0101}b", "ab"), ("a\u{3164}\u{115F}\u{34F}b", "ab"), ("a\u{E000}b", "ab"),
            // U+200D only joins what needs it.
            ("a\u{200D}b", "ab"), ("\u{200D}a\u{200D}", "a"), ("👨‍👩‍👧", "👨‍👩‍👧"), ("❤️‍🔥", "❤️‍🔥"), ("é\u{200D}a", "éa"),
        ] {
            #expect(text.sanitized(limit: 100) == shown)
            #expect(text.sanitized(limit: 100).unicodeScalars.allSatisfy { !$0.isHidden || $0 == "\u{200D}" })
        }
        #expect("  a\n    b\u{1B}\n\nc".sanitizedLines(limit: 100) == "  a\n    b \n\nc")
        #expect(String(repeating: "a\u{301}", count: 1_000_000).sanitized(limit: 10).unicodeScalars.count <= 80)
        #expect(("e" + String(repeating: "\u{301}", count: 1_000_000)).sanitized(limit: 10).unicodeScalars.count <= 80)
    }

    @Test func aCountHasItsNoun() {
        #expect([0, 1, 2].map { counted($0, "failure") } == ["0 failures", "1 failure", "2 failures"])
        #expect([1, 3].map { counted($0, "try", "tries") } == ["1 try", "3 tries"])
        #expect(OfferRefusal.blocked(versionCode: 2, attempts: 1).description.contains("blocked after 1 failure;"))
    }

    @Test func theUserInfoOfEachURLIsHidden() {
        for (text, shown) in [
            ("http://u:p@h/x", "http://***@h/x"),
            ("a http://u:p@h, socks5://q@i b", "a http://***@h, socks5://***@i b"),
            ("http://u:p/w@h", "http://***@h"), ("http://u:p@w@h", "http://***@h"),
            ("'http://u:p'w@h'", "'http://***@h'"),
            ("http://h/x", "http://h/x"), ("no url: a@b", "no url: a@b"), ("http:// a@b", "http:// a@b"),
            ("://", "://"),
        ] {
            #expect(text.withoutUserInfo == shown)
        }
        let url = WebURL("https://u:p%40w@h:1/a@b?token=1#f")
        #expect(url?.shown == "https://***@h:1/a@b?…" && url?.withoutUserInfo == "https://h:1/a@b?token=1#f")
        #expect(url?.host == "h" && WebURL("https://h/a@b")?.hasUserInfo == false)
        #expect(WebURL("https://h/a@b?")?.shown == "https://h/a@b?…" && WebURL("http://h")?.shown == "http://h")
    }

    @Test func hostsAndPortsAreRead() throws {
        for (text, host) in [
            ("http://h", "h"), ("http://h:/", "h"), ("http://h:1/", "h"), ("https://h:65535?q", "h"),
            ("http://h:0080", "h"), ("http://u:p:q@h:80/a:b", "h"), ("http://u:99999@h", "h"), ("http://[::1]", "::1"),
            ("http://[::1]:9/x", "::1"), ("http://u:p@[fe80::1%25eth0]:80", "fe80::1%25eth0"),
            ("http://h/:99999", "h"), ("http://h?:99999", "h"), ("http://h#:99999", "h"),
        ] {
            #expect(WebURL(text)?.host == host, "\(text)")
            #expect(try WebURL(repairing: text).host == host, "\(text)")
        }
        for (text, problem) in [
            ("http://h:0/", "its port"), ("http://h:65536/", "its port"), ("http://h:99999/", "its port"),
            ("http://h:abc/", "its port"), ("http://h:-1/", "its port"), ("http://h:+1/", "its port"),
            ("http://h:80:90/", "its port"), ("http://h:18446744073709551617/", "its port"),
            ("http://[::1]:99999", "its port"), ("http://fe80::1/", "its port"), ("http://[::1", "]"),
            ("http://[::1:80/", "]"), ("http://[::1]80", "something else"), ("http://[]", "no IPv6 address"),
            ("http://[h]", "no IPv6 address"), ("http://:80/", "no host"), ("http://u@/", "no host"),
        ] {
            #expect(WebURL(text) == nil, "\(text)")
            #expect {
                _ = try WebURL(repairing: text)
            } throws: { ($0 as? WebURL.Problem)?.description.contains(problem) == true }
        }
    }

    @Test func knownSecretsAreReplaced() throws {
        let connection = ServerConnection(
            url: "http://h", proxy: try ProxyURL("http://operator:s%C3%A9cret%2Bx@h"), connectTimeout: 1,
            requestTimeout: 1)
        let redaction = Redaction(connection, Credentials(accessKey: "a", secretKey: Secret("key-4711")))
        for (text, shown) in [
            ("it is sécret+x", "it is ***"), ("s%C3%A9cret%2Bx", "***"), ("key-4711key-4711", "******"),
            // The header is base64 of operator:sécret+x.
            ("Basic b3BlcmF0b3I6c8OpY3JldCt4", "Basic ***"),
            // Cut excerpts.
            ("begins with \"Basic b3BlcmF0b3I6c8\"", "begins with \"Basic ***\""), ("Basic b3Blcm", "Basic ***"),
            ("the operator", "the operator"), ("key-", "***"), ("key-less", "key-less"),
        ] {
            #expect(redaction(text) == shown)
        }
        // Short ones only as words of their own.
        let short = Redaction(["pw"])
        #expect(short("pw, a pwd: pw") == "***, a pwd: ***")
        #expect(Redaction([""])("abc") == "abc")
        // One that begins with another is replaced as a whole.
        for secrets in [["key-4711", "key-4711-long"], ["key-4711-long", "key-4711"]] {
            #expect(Redaction(secrets)("x key-4711-long y key-4711 z") == "x *** y *** z")
        }
    }

    /// A connection is sent to a worker, whose version may be another one.
    @Test func theProxyIsOneTextInMessages() throws {
        let proxy = try ProxyURL("http://u:p@h")
        #expect("\(proxy)" == "http://***@h" && String(reflecting: proxy) == "http://***@h")
    }
}
