import Simulator
import Subprocess
import SystemPackage
import Systemd
import UpdateCore

/// A minimal on-screen prompt. It receives the signal ConsentRequested, shows the text, and after a second accepts the version
/// with upgradelinkctl, in place of a user with a remote control.
struct DemoPrompt: Sendable {
    private let bus: PrivateBus
    private let story: Story
    private let control: String

    init(_ bus: PrivateBus, _ story: Story, control: String) {
        self.bus = bus
        self.story = story
        self.control = control
    }

    func run() async {
        do {
            guard let (name, text) = try await nextRequest() else { return }
            story.onScreen([
                "\(name) is ready to be installed.", text, "", "[ Now ]   [ Next window ]   [ Later ]   [ No ]",
            ])
            try await Task.sleep(for: .seconds(1))
            story.onScreen(["You chose: Now"])
            let result = try await Subprocess.run(
                .path(FilePath(control)), arguments: ["accept"],
                environment: .inherit.updating(["DBUS_SYSTEM_BUS_ADDRESS": bus.address]), output: .discarded,
                error: .string(limit: 4096))
            if !result.standardError.isEmpty { story.narrate("upgradelinkctl accept: \(result.standardError)") }
        } catch {
            // The missing consent makes the demonstration fail, which names the missing step.
        }
    }

    /// The name and the text of the version that needs consent; nil if no request comes within a minute.
    private func nextRequest() async throws -> (String, String)? {
        let bus = try Bus(address: bus.address)
        var request: (String, String)?
        bus.onSignal("org.upgradelink.Agent1", "org.upgradelink.Agent1", "ConsentRequested") { values in
            request = (values.count > 1 ? values[1].text ?? "" : "", values.count > 2 ? values[2].text ?? "" : "")
        }
        for _ in 0..<1200 where request == nil && !Task.isCancelled {
            while try bus.process(atMost: 100) {}
            if request == nil { try await Task.sleep(for: .milliseconds(50)) }
        }
        return request
    }
}
