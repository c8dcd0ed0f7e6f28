import Simulator
import Subprocess
import SystemPackage
import Systemd
import UpdateCore

/// The simplest on-screen prompt there can be: hears on the bus that consent is wanted, shows the text, and says yes by
/// upgradelinkctl after a moment, in place of a person with a remote control.
struct ToyPrompt: Sendable {
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
                "\(name) is ready to be installed.", text, "", "[ Now ]   [ Tonight ]   [ Later ]   [ No ]",
            ])
            try await Task.sleep(for: .seconds(1))
            story.onScreen(["You chose: Now"])
            let result = try await Subprocess.run(
                .path(FilePath(control)), arguments: ["accept"],
                environment: .inherit.updating(["DBUS_SYSTEM_BUS_ADDRESS": bus.address]), output: .discarded,
                error: .string(limit: 4096))
            if !result.standardError.isEmpty { story.tell("upgradelinkctl accept: \(result.standardError)") }
        } catch {
            // What it did not do is missing from the story, which says so.
        }
    }

    /// The name and the text of the version that consent is wanted for; nil when there is nobody left to ask.
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
