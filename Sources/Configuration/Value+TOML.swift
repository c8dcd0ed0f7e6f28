import UpdateCore

extension Value: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
    package init(stringLiteral text: String) { self = .string(text) }
    package init(integerLiteral number: Int64) { self = .integer(number) }
    package init(booleanLiteral flag: Bool) { self = .bool(flag) }
}

extension Value {
    /// The value in TOML, in one line. Parsed again, it is the same value.
    package var toml: String {
        switch self {
        case .string(let text): Self.quote(text)
        case .integer(let number): "\(number)"
        case .number(let number): Self.notation(number)
        case .bool(let flag): "\(flag)"
        case .moment(let text): text
        case .list(let items): "[" + items.map(\.toml).joined(separator: ", ") + "]"
        case .table(let fields):
            fields.isEmpty
                ? "{}"
                : "{ "
                    + fields.sorted { $0.key < $1.key }.map { "\(Self.key($0.key)) = \($0.value.toml)" }
                    .joined(separator: ", ") + " }"
        }
    }

    /// A key: bare if TOML allows it.
    static func key(_ name: String) -> String {
        let isBare = name.utf8.allSatisfy {
            (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x5F
                || $0 == 0x2D
        }
        return isBare && !name.isEmpty ? name : quote(name)
    }

    /// A number always has a fraction or an exponent, otherwise it would be an integer.
    private static func notation(_ number: Double) -> String {
        if number.isNaN { return "nan" }
        if number.isInfinite { return number < 0 ? "-inf" : "inf" }
        return "\(number)"
    }

    /// A basic string. Every character that is not printed is escaped, so that a text can do no harm to a terminal.
    private static func quote(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\t": quoted += "\\t"
            case "\r": quoted += "\\r"
            default:
                if String(scalar).hiddenCharacter == nil {
                    quoted.unicodeScalars.append(scalar)
                } else {
                    let digits = String(scalar.value, radix: 16, uppercase: true)
                    let isShort = digits.count <= 4
                    quoted +=
                        (isShort ? "\\u" : "\\U") + String(repeating: "0", count: (isShort ? 4 : 8) - digits.count)
                        + digits
                }
            }
        }
        return quoted + "\""
    }
}
