/// The samples of one metric, in the text format of Prometheus.
public struct MetricFamily: Hashable, Sendable {
    public enum Kind: String, Sendable { case gauge, counter }

    public struct Sample: Hashable, Sendable {
        public var labels: [Label]
        /// Whole seconds, bytes or a count.
        public var value: Int64
    }

    public struct Label: Hashable, Sendable {
        public var name: String
        public var value: String
    }

    public var name: String
    public var kind: Kind
    public var help: String
    /// Empty: the metric has no value now, and is left out.
    public var samples: [Sample]

    init(_ name: String, _ kind: Kind, _ help: String, _ samples: [Sample]) {
        (self.name, self.kind, self.help, self.samples) = (name, kind, help, samples)
    }

    /// A metric without labels; nil leaves it out.
    init(_ name: String, _ kind: Kind, _ help: String, _ value: Int64?) {
        self.init(name, kind, help, value.map { [Sample(labels: [], value: $0)] } ?? [])
    }

    /// The lines of this metric (Prometheus, exposition formats, "Text format details").
    public var text: String {
        guard !samples.isEmpty else { return "" }
        var lines = "# HELP \(name) \(help.escaped(quotes: false))\n# TYPE \(name) \(kind.rawValue)\n"
        for sample in samples {
            let labels = sample.labels.map { "\($0.name)=\"\($0.value.escaped(quotes: true))\"" }
            lines += name + (labels.isEmpty ? "" : "{\(labels.joined(separator: ","))}") + " \(sample.value)\n"
        }
        return lines
    }
}

extension String {
    /// The reader knows no characters of several scalars: a quotation mark before a combining mark ends a value, too. It also takes
    /// a NUL for the end of the file.
    ///
    /// - Parameter quotes: whether quotation marks are escaped, as in the value of a label.
    fileprivate func escaped(quotes: Bool) -> String {
        var text = String.UnicodeScalarView()
        for scalar in unicodeScalars {
            switch scalar {
            case "\\": text.append(contentsOf: #"\\"#.unicodeScalars)
            case "\n": text.append(contentsOf: #"\n"#.unicodeScalars)
            case "\"" where quotes: text.append(contentsOf: #"\""#.unicodeScalars)
            case _ where scalar.properties.generalCategory == .control: text.append("\u{FFFD}")
            default: text.append(scalar)
            }
        }
        return String(text)
    }
}
