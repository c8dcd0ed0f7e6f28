import Glibc
import Host
import Simulator
import Subprocess
import SystemPackage
import TestSupport
import Testing
import UpdateCore

@testable import Agent

/// The description of the D-Bus interface, what is generated from it, and what the running agent answers.
@MainActor @Suite struct BusDescriptionTests {
    private static let writes = getenv("UPGRADELINKD_GENERATE") != nil
    private static let interfaceFile = "\(repositoryDirectory)/packaging/dbus/org.upgradelink.Agent1.xml"
    private static let manPage = "\(repositoryDirectory)/packaging/man/org.upgradelink.Agent1.5"

    @Test func theGeneratedFilesAreCurrent() throws {
        let files = [
            Self.interfaceFile: BusIntrospection(isDocumented: true).text + "\n", Self.manPage: BusManPage().text,
        ]
        for (path, text) in files {
            if Self.writes {
                try Files.replace(path, with: Array(text.utf8), mode: 0o644)
            } else {
                let found = String(decoding: try Files.read(path, limit: 1 << 20), as: UTF8.self)
                #expect(found == text, "\(path) is stale: run make generate")
            }
        }
    }

    @Test func theManPageHasNoErrors() async throws {
        let result = try await Subprocess.run(
            .name("groff"), arguments: ["-ww", "-man", "-Tutf8", "-z", Self.manPage],
            output: .discarded, error: .string(limit: 1 << 16))
        #expect(result.terminationStatus.isSuccess && result.standardError.isEmpty, "\(result.standardError)")
    }

    /// gdbus-codegen(1) and the like take XML only.
    @Test func theInterfaceFileIsXML() async throws {
        let script = """
            import sys, xml.etree.ElementTree as tree
            members = tree.parse(sys.argv[1]).getroot().find("interface")
            print(*[member.get("name") for member in members])
            """
        let result = try await Subprocess.run(
            .path("/usr/bin/python3"), arguments: ["-c", script, Self.interfaceFile],
            output: .string(limit: 1 << 16), error: .discarded)
        let names =
            BusMethod.allCases.filter { $0.interface == BusInterface.name }.map(\.member)
            + BusProperty.allCases.map(\.rawValue) + BusSignal.allCases.map(\.rawValue)
        #expect(result.standardOutput.split(whereSeparator: \.isWhitespace).map(String.init) == names)
    }

    /// An error that is sent without `refuse` could be one that the man page does not list.
    @Test func onlyDescribedErrorsAreSent() throws {
        let directory = "\(repositoryDirectory)/Sources/Agent"
        var places: [String] = []
        for name in try Files.list(directory) {
            let text = String(decoding: try Files.read("\(directory)/\(name)", limit: 1 << 20), as: UTF8.self)
            for line in text.split(separator: "\n") where line.contains(/\bfail\(/) {
                places.append("\(name): \(line)")
            }
        }
        #expect(places.count == 1 && places.allSatisfy { $0.contains("func refuse(_ name: BusErrorName") }, "\(places)")
        #expect(BusMethod.inhibit.errors.contains(.limitsExceeded))
        #expect(BusMethod.installFile.errors.contains(.limitsExceeded))
    }

    @Test func everyTextIsASentence() {
        var texts: [String] = BusErrorName.allCases.map(\.summary) + BusSignal.allCases.map(\.description.summary)
        for method in BusMethod.allCases {
            let described = method.description
            texts += [described.summary] + (described.inputs + described.outputs).map(\.summary)
            texts += described.fields.map(\.summary)
        }
        for property in BusProperty.allCases {
            texts += [property.description.summary] + property.description.fields.map(\.summary)
        }
        for text in texts {
            #expect(text.hasSuffix(".") && !text.contains("--") && !text.contains("  "), "\(text)")
        }
    }

    // MARK: the running agent

    /// The type of each entry of a dictionary that busctl prints as JSON, by the entry's name.
    private func types(_ dictionary: Substring) -> [String: String] {
        let entries = dictionary.matches(of: /"([A-Za-z]+)":\{"type":"([^"]+)"/).map { (String($0.1), String($0.2)) }
        return Dictionary(entries) { first, _ in first }
    }

    private func types(_ fields: [BusField]) -> [String: String] {
        Dictionary(uniqueKeysWithValues: fields.map { ($0.name, $0.type) })
    }

    private nonisolated static func asksForConsent(_ bus: PrivateBus) async -> Bool {
        await eventually { await bus.property("State") == "s \"consent\"" }
    }

    private nonisolated static func installs(_ device: AgentDevice) async -> Bool {
        await eventually { device.runs == 2 }
    }

    @Test(.enabled(if: getuid() == 0, "a private system bus and other users on it need root"))
    func theRunningAgentAnswersAsDescribed() async throws {
        let device = try await AgentDevice()
        chmod(device.scratch.path, 0o711)
        let version = try await device.publish(2, type: 1)
        let policy = "\(repositoryDirectory)/packaging/dbus/org.upgradelink.Agent1.conf"
        let object = ["org.upgradelink.Agent1", "/org/upgradelink/Agent1", "org.upgradelink.Agent1"]
        try await PrivateBus.run(directory: device.scratch.path, policies: [policy]) { bus async throws in
            try await SimulatedServer.run(device.server([version])) { server async throws in
                try device.configure(server: server.url)
                try await AgentProcess.run(device, environment: bus.environment) { @MainActor _ async throws in
                    #expect(await Self.asksForConsent(bus))

                    let introspection = try await bus.busctl(["--xml-interface", "introspect"] + object.prefix(2))
                    #expect(introspection.output == BusIntrospection.reply)

                    // Every property has its type, and there is no other.
                    for property in BusProperty.allCases {
                        let value = await bus.property(property.rawValue) ?? "none"
                        #expect(value.hasPrefix("\(property.description.type) "), "\(property): \(value)")
                    }
                    let all = try await bus.busctl(
                        ["--json=short", "call"] + object.prefix(2) + [
                            "org.freedesktop.DBus.Properties", "GetAll", "s", object[2],
                        ]
                    ).output
                    for property in BusProperty.allCases {
                        #expect(all.contains("\"\(property.rawValue)\":{\"type\":\"\(property.description.type)\""))
                    }
                    let names = all.matches(of: /"([A-Z][A-Za-z]+)":\{"type"/).map { String($0.1) }
                    #expect(Set(names) == Set(BusProperty.allCases.map(\.rawValue)))

                    let offer = try await bus.busctl(["--json=short", "get-property"] + object + ["Offer"]).output
                    #expect(types(offer[...]) == types(Offer.busFields))

                    // A user without rights may call what is for everyone, and nothing else.
                    for method in BusMethod.allCases where method.interface == BusInterface.name {
                        let inputs = method.description.inputs.map { $0.type == "s" ? "x" : "0" }
                        guard method != .installDescriptor else { continue }
                        let valid: [String] =
                            switch method {
                            case .accept: ["0", "now"]
                            case .installFile: ["/x"]
                            case .inhibit: ["install", "w", "y"]
                            default: inputs
                            }
                        let signature = method.signature.isEmpty ? [] : [method.signature]
                        let run = try await bus.busctl(
                            ["call"] + object + [method.member] + signature + valid, user: 65534)
                        #expect(
                            run.error.contains("Access denied") == (method.description.callers == .authorized),
                            "\(method): \(run)")
                    }

                    #expect(try await bus.call("Reject", "t", "2").isSuccess)
                    let refused = try await bus.busctl(["--json=short", "get-property"] + object + ["RefusedVersions"])
                    #expect(types(refused.output[...]) == types(RefusedVersion.busFields))
                    for value in [#""data":"v2""#, #""data":"rejected""#, #""data":2"#] {
                        #expect(refused.output.contains(value), "\(refused.output)")
                    }
                    let history = try await bus.busctl(["--json=short", "call"] + object + ["History"]).output
                    #expect(types(history[...]) == types(Attempt.busFields))
                    #expect(history.contains(#""reasonCode":{"type":"s","data":"rejected"}"#))
                    #expect(try await bus.call("Retry", "t", "2").isSuccess)
                    #expect(await bus.property("RefusedVersions") == "aa{sv} 0")
                }
            }
        }
    }

    /// The commands of the man page, as a user of the device types them.
    @Test(.enabled(if: getuid() == 0, "a private system bus needs root"))
    func theExamplesOfTheManPageWork() async throws {
        let device = try await AgentDevice()
        let version = try await device.publish(2, type: 1)
        let policy = "\(repositoryDirectory)/packaging/dbus/org.upgradelink.Agent1.conf"
        try await PrivateBus.run(directory: device.scratch.path, policies: [policy]) { bus async throws in
            try await SimulatedServer.run(device.server([version])) { server async throws in
                try device.configure(server: server.url)
                try await AgentProcess.run(device, environment: bus.environment) { @MainActor _ async throws in
                    #expect(await Self.asksForConsent(bus))
                    for command in BusManPage.examples.flatMap(\.commands) where !command.contains("monitor") {
                        let run = try await Subprocess.run(
                            .name("sh"), arguments: ["-c", command],
                            environment: .inherit.updating(["DBUS_SYSTEM_BUS_ADDRESS": bus.address]),
                            output: .string(limit: 1 << 16), error: .string(limit: 1 << 16))
                        #expect(run.terminationStatus.isSuccess, "\(command): \(run.standardError)")
                    }
                    #expect(await Self.installs(device))
                }
            }
        }
    }
}
