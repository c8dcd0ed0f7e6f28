/// All options. An option is added to its section's file, and nowhere else: `make generate` writes the documents.
package enum Schema {
    /// In the order of the documents.
    package static let sections: [Section] = [
        server, credentials, device, poll, download, verification, install, state, metrics,
    ]

    /// They are made when they are needed, and not kept: the agent reads its configuration at its start and after a reload only.
    package static var options: [ConfigurationOption] { sections.flatMap(\.options) }

    package static func option(_ key: String) -> ConfigurationOption? {
        let section = key.prefix { $0 != "." }
        return sections.first { $0.name == section }?.options.first { $0.key == key }
    }

    package static let sectionNames: [String] = sections.map(\.name)
}
