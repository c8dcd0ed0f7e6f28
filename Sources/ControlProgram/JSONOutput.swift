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
    // Not `defaultAsFlag`: the parser then ignores a value that another option follows. `Arguments` gives `--json` its value.
    @Option(
        name: .customLong("json"),
        help: ArgumentHelp(
            "As JSON: on one line (short), or indented (pretty, also without a value). Times are in seconds since 1970.",
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

/// A value that is known as a text in JSON. A text that is not JSON, such as *** for a secret, is a string.
struct JSONText: Encodable {
    private indirect enum Value: Codable {
        case text(String)
        case integer(Int)
        case number(Double)
        case flag(Bool)
        case list([Value])
        case table([String: Value])
        case null

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                self = .null
            } else if let flag = try? container.decode(Bool.self) {
                self = .flag(flag)
            } else if let number = try? container.decode(Int.self) {
                self = .integer(number)
            } else if let number = try? container.decode(Double.self) {
                self = .number(number)
            } else if let text = try? container.decode(String.self) {
                self = .text(text)
            } else if let items = try? container.decode([Value].self) {
                self = .list(items)
            } else {
                self = .table(try container.decode([String: Value].self))
            }
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .text(let text): try container.encode(text)
            case .integer(let number): try container.encode(number)
            case .number(let number): try container.encode(number)
            case .flag(let flag): try container.encode(flag)
            case .list(let items): try container.encode(items)
            case .table(let fields): try container.encode(fields)
            case .null: try container.encodeNil()
            }
        }
    }

    private let value: Value

    init(_ json: String) {
        value = (try? JSONDecoder().decode(Value.self, from: Data(json.utf8))) ?? .text(json)
    }

    func encode(to encoder: any Encoder) throws { try value.encode(to: encoder) }
}
