import Testing

@testable import Installation

@MainActor struct RebootInhibitorTests {
    private func line(_ inhibitors: String...) -> String? {
        RebootInhibitors.line(of: "{\"type\":\"a(ssssuu)\",\"data\":[[\(inhibitors.joined(separator: ","))]]}")
    }

    @Test func onlyInhibitorsThatBlockAShutdownCount() {
        #expect(line() == nil)
        #expect(line(#"["sleep","TV","x","block",0,7]"#, #"["shutdown","UPower","x","delay",0,8]"#) == nil)
        #expect(line(#"["shutdown","TV","x","block-weak",0,7]"#) == nil)
        #expect(
            line(
                #"["sleep","a","b","block",0,7]"#,
                #"["handle-power-key:shutdown:sleep","TV","recording","block",1000,9]"#)
                == "Operation inhibited by \"TV\" (9), reason is \"recording\"")
    }

    @Test(arguments: ["", "{}", "nonsense", #"{"data":[]}"#, #"{"data":[[["shutdown"]]]}"#, #"{"data":[[7]]}"#])
    func whatCannotBeReadBlocksNothing(response: String) {
        #expect(RebootInhibitors.line(of: response) == nil)
    }
}
