import Configuration

/// The documents about the options. All of them are generated from the schema: `make generate` writes them.
package enum Documents {
    /// Replaces the text between two lines of a page that is otherwise written by hand; nil if the page has no such lines.
    package static func inserting(
        _ generated: String, into page: String, after start: String, before end: String
    ) -> String? {
        guard let first = page.firstRange(of: "\(start)\n")?.upperBound,
            let last = page[first...].firstRange(of: end)?.lowerBound
        else { return nil }
        return "\(page[..<first])\(generated)\(page[last...])"
    }
}
