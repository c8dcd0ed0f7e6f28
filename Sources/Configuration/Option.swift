package import UpdateCore

/// Programs that import this module have another `Option`, of their command line.
typealias Option = ConfigurationOption

/// An option: its key, its allowed values, its default and its description. Every document about the options is generated from
/// this.
package struct ConfigurationOption: Sendable {
    package enum Kind: Sendable {
        case text
        /// A text without control and invisible characters. A line break in a key would end the header of a request.
        case line
        /// An absolute path.
        case path
        /// An absolute path with this ending.
        case pathEnding(String)
        case url
        /// The URL of a proxy; it may contain a password.
        case proxy
        case flag
        case integer(ClosedRange<Int>)
        /// A duration; the bounds are in seconds.
        case duration(ClosedRange<Seconds>)
        /// The bounds are in bytes.
        case size(ClosedRange<ByteCount>)
        case choice([String])
        case texts(Element = .text)
        /// The name of a file, without a directory.
        case fileName
        /// A table whose keys are names of files that the operator chooses.
        case textTable
        /// A table with some of these keys.
        case durationTable(ClosedRange<Seconds>, keys: [String])
        case freeTable
    }

    /// What a list of texts contains.
    package enum Element: Sendable {
        case text
        /// Absolute paths, at least one.
        case paths
        /// A program with an absolute path, and its arguments. May be empty if that means that there is none.
        case command(mayBeEmpty: Bool)
        /// Names of units, and an empty text.
        case units
        /// ``MaintenanceWindow``
        case windows
    }

    /// What makes a changed value effective.
    package enum Change: String, Sendable {
        /// `systemctl reload upgradelinkd`
        case reload
        /// `systemctl restart upgradelinkd`
        case restart
    }

    /// "SECTION.NAME"
    package let key: String
    package let kind: Kind
    /// The default; nil if the option is absent by default, or if the default depends on another value.
    package let standard: Value?
    /// The default in words, if it depends on something else. Literals are in backquotes.
    package let computedDefault: String?
    /// A value for documents, if the default is no good example.
    package let example: Value?
    /// The unit of a plain number, if the kind does not tell it.
    private let ownUnit: String?
    package let change: Change
    package let isSecret: Bool
    /// Whether a list adds to those of the files before it; an empty text in it drops them, as in a unit (systemd.syntax(7)).
    package let isCumulative: Bool
    /// One sentence without the full stop.
    package let summary: String
    /// Paragraphs, separated by empty lines; may be empty. Literals, paths and keys of options are in backquotes. A paragraph of
    /// lines that begin with "- " is a list.
    package let description: String

    init(
        _ key: String, _ kind: Kind, _ standard: Value? = nil, computed: String? = nil, example: Value? = nil,
        unit: String? = nil, change: Change = .reload, isSecret: Bool = false, isCumulative: Bool = false,
        summary: String, description: String = ""
    ) {
        self.key = key
        self.kind = kind
        self.standard = standard
        self.computedDefault = computed
        self.example = example
        self.ownUnit = unit
        self.change = change
        self.isSecret = isSecret
        self.isCumulative = isCumulative
        self.summary = summary
        self.description = description
    }

    package var section: String { String(key.prefix { $0 != "." }) }
    package var name: String { String(key.drop { $0 != "." }.dropFirst()) }

    /// The unit of a plain number; nil if the option is none.
    package var unit: String? {
        if let ownUnit { return ownUnit }
        return switch kind {
        case .duration, .durationTable: "seconds"
        case .size: "bytes"
        default: nil
        }
    }

    /// The allowed values in words, as in "allowed is …".
    package var range: String {
        switch kind {
        case .text: "a text that is not empty"
        case .line: "a text that is not empty, in one line"
        case .path: "an absolute path"
        case .pathEnding(let suffix): "an absolute path that ends with \(suffix)"
        case .url: "an http or https URL"
        case .proxy: "the URL of a proxy"
        case .flag: "true or false"
        case .integer(let range): "a whole number \(Self.bounds(range) { "\($0)" })"
        case .duration(let range): "a length of time \(Self.bounds(range))"
        case .size(let range): "a size \(Self.bounds(range, Quantity.describe(bytes:)))"
        case .choice(let names): names.map { "\"\($0)\"" }.joined(separator: ", ")
        case .texts(.text): "a list of texts"
        case .texts(.paths): "a list of absolute paths"
        case .texts(.command): "an absolute path and its arguments, a text each"
        case .texts(.units): "a list of names of units"
        case .texts(.windows): "a list of days and hours of local time"
        case .fileName: "a plain file name"
        case .textTable: "a table of texts"
        case .durationTable(let range, _): "a table of lengths of time, each \(Self.bounds(range))"
        case .freeTable: "a table"
        }
    }

    static func bounds(_ range: ClosedRange<Seconds>) -> String {
        "from \(Quantity.describe(seconds: range.lowerBound)) to \(Quantity.describe(seconds: range.upperBound))"
    }

    static func bounds<Number: FixedWidthInteger>(
        _ range: ClosedRange<Number>, _ shown: (Number) -> String
    ) -> String {
        range.upperBound == Number.max
            ? "of at least \(shown(range.lowerBound))"
            : "from \(shown(range.lowerBound)) to \(shown(range.upperBound))"
    }
}

/// A section of the configuration: its options and what they are about.
package struct Section: Sendable {
    package let name: String
    /// One sentence without the full stop.
    package let summary: String
    /// In the form of ``Option/description``.
    package let description: String
    private let makeOptions: @Sendable () -> [ConfigurationOption]
    package var options: [ConfigurationOption] { makeOptions() }

    init(
        _ name: String, summary: String, description: String = "",
        options: @autoclosure @escaping @Sendable () -> [Option]
    ) {
        self.name = name
        self.summary = summary
        self.description = description
        makeOptions = options
    }
}
