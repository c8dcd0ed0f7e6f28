// Tables that the operator fills freely, and the arguments of programs, may contain secrets that no option declares. Their names
// tell: `token = "…"`, `--password=…`.

extension String {
    /// Whether a value of this name is probably a secret: `apiKey`, `access_token`, `--password`.
    var soundsSecret: Bool {
        let name = lowercased()
        if ["token", "passw", "passphrase", "secret", "credential", "apikey", "authorization", "cookie"]
            .contains(where: name.contains)
        {
            return true
        }
        return words.contains { ["key", "keys", "pass", "pwd", "psk", "pin", "auth", "salt", "bearer"].contains($0) }
    }

    /// The words of a name in lower case: `client`, `key` for `clientKey` and for `client-key`.
    var words: [String] {
        var words: [String] = []
        var isAfterLower = false
        for character in self {
            let isPart = character.isLetter || character.isNumber
            if isPart, !words.isEmpty, !(character.isUppercase && isAfterLower) {
                words[words.count - 1].append(character)
            } else {
                words.append(isPart ? String(character) : "")
            }
            isAfterLower = isPart && !character.isUppercase
        }
        return words.filter { !$0.isEmpty }.map { $0.lowercased() }
    }
}

extension Value {
    /// The value with `***` for what has a name that sounds like a secret.
    var withoutSuspects: Value { replacingSuspects { _ in "***" } }

    /// What ``withoutSuspects`` replaces.
    var suspects: [Value] {
        var found: [Value] = []
        _ = replacingSuspects {
            found.append($0)
            return $0
        }
        return found
    }

    private func replacingSuspects(_ replacement: (Value) -> Value) -> Value {
        switch self {
        case .table(let fields):
            return .table(
                Dictionary(
                    uniqueKeysWithValues: fields.map { name, value in
                        (name, name.soundsSecret ? replacement(value) : value.replacingSuspects(replacement))
                    }))
        case .list(let items):
            var isNamed = false
            return .list(
                items.map { item in
                    let isSecret = isNamed
                    isNamed = false
                    guard case .string(let text) = item else { return item.replacingSuspects(replacement) }
                    if isSecret { return replacement(item) }
                    // An argument of a program: `--token`, then the token, or both in one.
                    guard text.hasPrefix("-") else { return item }
                    let name = text.prefix { $0 != "=" }
                    guard String(name).soundsSecret else { return item }
                    guard name.endIndex < text.endIndex else {
                        isNamed = true
                        return item
                    }
                    let secret = text[text.index(after: name.endIndex)...]
                    guard case .string(let shown) = replacement(.string(String(secret))) else { return item }
                    return .string("\(name)=\(shown)")
                })
        default: return self
        }
    }
}
