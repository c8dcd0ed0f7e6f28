import Configuration

/// What every document says about an option, in the form of its description.
extension ConfigurationOption {
    /// The summary as a sentence.
    var sentence: String { "\(summary)." }

    /// The description, and what follows from the kind of the option.
    var details: String {
        var paragraphs = description.isEmpty ? [] : [description]
        if isCumulative {
            paragraphs.append(
                "The lists of all configuration files count together; an empty text in the list drops those of the files before it."
            )
        }
        return paragraphs.joined(separator: "\n\n")
    }

    /// The default in words.
    var defaultText: String? { computedDefault ?? standard.map { "`\($0.toml)`" } }

    /// A value for documents, other than the default.
    var exampleText: String? { example.map { "`\(key) = \($0.toml)`" } }

    /// The range, unless the descriptions of the values are a list of its own, or it is clear.
    var rangeText: String? {
        switch kind {
        case .choice: nil
        case .flag: "true or false"
        default: range
        }
    }
}
