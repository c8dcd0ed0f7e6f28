import Configuration

extension Documents {
    /// config/upgradelinkd.schema.json: the options in JSON Schema, draft-07, for editors.
    package static var jsonSchema: String {
        let sections = Schema.sections.map { section in
            (
                section.name,
                JSON.object([
                    ("type", .string("object")),
                    ("description", .string(plain("\(section.summary).\n\n\(section.description)"))),
                    ("additionalProperties", .raw("false")),
                    ("properties", .object(section.options.map { ($0.name, property($0)) })),
                ])
            )
        }
        return JSON.object([
            ("$schema", .string("http://json-schema.org/draft-07/schema#")),
            ("title", .string("upgradelinkd.toml")),
            ("description", .string("The configuration of the UpgradeLink update agent")),
            ("type", .string("object")), ("additionalProperties", .raw("false")), ("properties", .object(sections)),
        ]).text() + "\n"
    }

    private static func property(_ option: ConfigurationOption) -> JSON {
        var members = [("description", JSON.string(plain("\(option.sentence)\n\n\(option.details)")))]
        members += allowed(option.kind)
        if let standard = option.standard {
            members.append(("default", .value(standard)))
        } else if let text = option.computedDefault {
            members.append(("x-default", .string(text.replacing("`", with: ""))))
        }
        if let example = option.example { members.append(("examples", .array([.value(example)]))) }
        if let unit = option.unit { members.append(("x-unit", .string(unit))) }
        members.append(("x-change", .string(option.change.rawValue)))
        return .object(members)
    }

    private static func allowed(_ kind: ConfigurationOption.Kind) -> [(String, JSON)] {
        switch kind {
        case .text: [("type", .string("string")), ("minLength", .raw("1"))]
        case .line: [("type", .string("string")), ("pattern", .string("^[^\\u0000-\\u001F\\u007F-\\u009F]+$"))]
        case .path: [("type", .string("string")), ("pattern", .string("^/"))]
        case .pathEnding(let suffix):
            [
                ("type", .string("string")),
                ("pattern", .string("^/(.*/)?[^/]+\(suffix.replacing(".", with: "\\."))$")),
            ]
        case .url: [("type", .string("string")), ("pattern", .string("^\(http)://\(authority)([/?#]\\S*)?$"))]
        case .proxy:
            [
                ("type", .string("string")),
                ("pattern", .string("^(\(http)|[Ss][Oo][Cc][Kk][Ss](4|4[Aa]|5|5[Hh]))://[^/?#\\s][^\\s]*$")),
            ]
        case .flag: [("type", .string("boolean"))]
        case .integer(let range): [("type", .string("integer"))] + bounds(range)
        case .duration(let range):
            quantity(
                [
                    ("type", .string("number")), ("minimum", .raw(number(range.lowerBound))),
                    ("maximum", .raw(number(range.upperBound))),
                ], Amount.durationUnits)
        case .size(let range): quantity([("type", .string("integer"))] + bounds(range), Amount.sizeUnits)
        case .choice(let names): [("enum", .array(names.map { .string($0) }))]
        case .texts(let element): [("type", .string("array"))] + items(element)
        case .fileName: [("type", .string("string")), ("pattern", .string(fileName))]
        case .textTable:
            [
                ("type", .string("object")), ("propertyNames", .object([("pattern", .string(fileName))])),
                ("additionalProperties", .object([("type", .string("string"))])),
            ]
        case .durationTable(let range, let keys):
            [
                ("type", .string("object")), ("additionalProperties", .raw("false")),
                ("properties", .object(keys.map { ($0, .object(allowed(.duration(range)))) })),
            ]
        case .freeTable: [("type", .string("object"))]
        }
    }

    private static let http = "[Hh][Tt][Tt][Pp][Ss]?"
    /// A host with an optional port, and with a user and a password.
    private static let authority =
        "([^/?#@\\s]*@)?(\\[[0-9A-Fa-f:.]+\\]|[^/?#@:\\[\\]\\s]+)(:0*[1-9][0-9]{0,4})?"
    private static let days = "[A-Za-z]{3}([-,][A-Za-z]{3})*"
    private static let fileName = "^(?!\\.{1,2}$)[^/]+$"

    private static func items(_ element: ConfigurationOption.Element) -> [(String, JSON)] {
        func list(_ pattern: String) -> [(String, JSON)] {
            [("items", .object([("type", .string("string")), ("pattern", .string(pattern))]))]
        }
        let texts = JSON.object([("type", .string("string"))])
        return switch element {
        case .text: [("items", texts)]
        case .paths: list("^/") + [("minItems", .raw("1"))]
        // The first item is the program.
        case .command(let mayBeEmpty):
            [
                (
                    "items",
                    .array([.object([("type", .string("string")), ("pattern", .string("^/"))])])
                ), ("additionalItems", texts),
            ] + (mayBeEmpty ? [] : [("minItems", .raw("1"))])
        case .units: list("^([^-].*\\..*)?$")
        case .windows: list("^ *(\(days) +)?[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9] *$")
        }
    }

    private static func bounds<Number: FixedWidthInteger>(_ range: ClosedRange<Number>) -> [(String, JSON)] {
        let maximum: [(String, JSON)] = range.upperBound == Number.max ? [] : [("maximum", .raw("\(range.upperBound)"))]
        return [("minimum", .raw("\(range.lowerBound)"))] + maximum
    }

    /// A plain number, or a sum of numbers with units. A pattern cannot check the bounds of a sum.
    private static func quantity(_ plain: [(String, JSON)], _ units: [String]) -> [(String, JSON)] {
        let number = "([0-9]+\\.?[0-9]*|\\.[0-9]+)"
        let unit = "(\(units.filter { !$0.isEmpty }.sorted { ($1.count, $0) < ($0.count, $1) }.joined(separator: "|")))"
        let pattern = "^ *\(number)( *\(unit) *\(number))* *\(unit)? *$"
        return [
            ("anyOf", .array([.object(plain), .object([("type", .string("string")), ("pattern", .string(pattern))])]))
        ]
    }

    private static func number(_ value: Double) -> String {
        value == value.rounded() ? "\(Int64(value))" : "\(value)"
    }

    /// The description for an editor's tooltip.
    private static func plain(_ text: String) -> String {
        var text = text
        while text.last == "\n" { text.removeLast() }
        return text.replacing("`", with: "")
    }
}

/// A JSON document, in the given order.
enum JSON {
    case object([(String, JSON)])
    case array([JSON])
    case string(String)
    case value(Value)
    case raw(String)

    func text(_ indentation: String = "") -> String {
        let inner = indentation + "  "
        switch self {
        case .object(let members):
            let lines = members.map { "\(inner)\(JSON.string($0.0).text()): \($0.1.text(inner))" }
            return members.isEmpty ? "{}" : "{\n\(lines.joined(separator: ",\n"))\n\(indentation)}"
        case .array(let items):
            let lines = items.map { "\(inner)\($0.text(inner))" }
            return items.isEmpty ? "[]" : "[\n\(lines.joined(separator: ",\n"))\n\(indentation)]"
        case .string(let text): return JSON.value(.string(text)).text()
        case .value(let value): return value.json.replacing("\\/", with: "/")
        case .raw(let text): return text
        }
    }
}
