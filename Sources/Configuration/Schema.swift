/// All options. An option is added to its section's file, and nowhere else: `make generate` writes the documents.
package enum Schema {
    /// In the order of the documents.
    package static let sections: [Section] = [
        server, credentials, device, poll, download, verification, install, state, metrics,
    ]

    package static let options: [ConfigurationOption] = sections.flatMap(\.options)

    package static let byKey = Dictionary(uniqueKeysWithValues: options.map { ($0.key, $0) })

    package static let sectionNames: [String] = sections.map(\.name)
}
