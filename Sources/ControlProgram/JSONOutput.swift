import ArgumentParser
import FoundationEssentials
import UpdateCore

/// The layout of a JSON document.
enum JSONForm: String, ExpressibleByArgument, CaseIterable {
    /// On one line.
    case short
    /// On several lines, with indentation.
    case pretty
    /// `--json` without a value: pretty, and short for several documents.
    case automatic

    static var allValueStrings: [String] { [short.rawValue, pretty.rawValue] }
}

/// The option `--json`, `--json=short` or `--json=pretty`. A value must follow an equals sign, so that `--json FILE` has no value.
struct JSONOption: ParsableArguments {
    @Option(
        name: .customLong("json"), defaultAsFlag: JSONForm.automatic,
        help: ArgumentHelp(
            "As JSON: on one line (short) or indented (pretty, the default). Times are in seconds since 1970.",
            valueName: "short|pretty"))
    var form: JSONForm?

    /// The form of the documents, each of which is one line; nil if text is wanted.
    func lines() throws -> JSONForm? {
        guard form != .pretty else {
            throw ValidationError("--json=pretty cannot be used with --watch: each document is one line.")
        }
        return form.map { _ in .short }
    }
}

/// Writes a JSON document to standard output, with sorted keys. It contains no character that a terminal acts on.
func printJSON(_ value: some Encodable, as form: JSONForm = .automatic) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    if form != .short { encoder.outputFormatting.insert(.prettyPrinted) }
    printText(String(decoding: try encoder.encode(value), as: UTF8.self).escapingHiddenCharacters + "\n")
}

extension String {
    /// JSON whose strings contain no character that a terminal acts on: each is written as `\u` and its UTF-16 code units
    /// (RFC 8259, section 7). The line breaks of the layout stay; JSON has none within a string.
    fileprivate var escapingHiddenCharacters: String {
        var escaped = ""
        for scalar in unicodeScalars {
            guard scalar.isHidden, scalar != "\n" else {
                escaped.unicodeScalars.append(scalar)
                continue
            }
            for unit in UTF16.encode(scalar).map(Array.init) ?? [] {
                let digits = String(unit, radix: 16)
                escaped += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
        return escaped
    }
}
