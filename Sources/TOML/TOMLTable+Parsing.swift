import CTOML

extension TOMLTable {
    /// Parses a document: UTF-8, with or without a byte order mark. It is an error if the document has a NUL byte.
    public init(parsing bytes: [UInt8]) throws(TOMLError) {
        if let error = Self.encodingError(bytes) { throw error }
        let document = bytes.withUnsafeBytes { ctoml_parse($0.baseAddress, $0.count) }
        guard let document else {
            throw TOMLError(position: TOMLPosition(line: 1, column: 1), text: "not enough memory to parse it")
        }
        defer { ctoml_free(document) }
        var text = ctoml_text()
        var position = ctoml_position()
        guard !ctoml_error(document, &text, &position) else {
            throw TOMLError(position: TOMLPosition(position), text: String(text))
        }
        var reader = NodeReader(nodes: ctoml_nodes(document))
        self = try reader.table()
    }

    /// The first byte that is not UTF-8.
    private static func encodingError(_ bytes: [UInt8]) -> TOMLError? {
        do throws(UTF8.ValidationError) {
            _ = try UTF8Span(validating: bytes.span)
            return nil
        } catch {
            var valid = Substring(decoding: bytes[..<error.byteOffsets.lowerBound], as: UTF8.self).unicodeScalars
            if valid.first == "\u{FEFF}" { valid.removeFirst() }
            let lastLine = valid.split(separator: "\n", omittingEmptySubsequences: false).last
            let line = valid.count { $0 == "\n" } + 1
            return TOMLError(
                position: TOMLPosition(line: line, column: (lastLine?.count ?? 0) + 1), text: "not UTF-8 text")
        }
    }
}

/// Reads the nodes of a document one after the other.
private struct NodeReader {
    var nodes: UnsafePointer<ctoml_node>?

    mutating func table() throws(TOMLError) -> TOMLTable {
        guard case .table(let table) = try value(next()).content else { return TOMLTable(entries: [:]) }
        return table
    }

    private mutating func next() -> ctoml_node {
        defer { nodes = nodes?.advanced(by: 1) }
        return nodes?.pointee ?? ctoml_node()
    }

    private mutating func value(_ node: ctoml_node) throws(TOMLError) -> TOMLValue {
        let position = TOMLPosition(node.position)
        let content: TOMLValue.Content
        switch node.kind {
        case .string: content = .string(try string(node.text, at: position))
        case .integer: content = .integer(node.integer)
        case .number: content = .number(node.number)
        case .bool: content = .bool(node.flag)
        case .moment: content = .moment(try string(node.text, at: position))
        case .list:
            var elements: [TOMLValue] = []
            for _ in 0..<node.count { elements.append(try value(next())) }
            content = .list(elements)
        case .table:
            var entries: [String: TOMLTable.Entry] = [:]
            for _ in 0..<node.count {
                let element = next()
                let position = TOMLPosition(element.key_position)
                let key = try string(element.key, at: position)
                let entry = TOMLTable.Entry(position: position, value: try value(element))
                // Keys that differ in TOML can be equal in Swift: "é" as one scalar and as two.
                if let other = entries.updateValue(entry, forKey: key) {
                    throw TOMLError(
                        position: max(position, other.position), text: "the same key again, in another Unicode form")
                }
            }
            content = .table(TOMLTable(entries: entries))
        }
        return TOMLValue(content: content, position: position)
    }

    /// TOML allows "\u0000", but the system would cut the text there, for example a path or an argument of a program.
    private func string(_ text: ctoml_text, at position: TOMLPosition) throws(TOMLError) -> String {
        let string = String(text)
        guard !string.utf8.contains(0) else { throw TOMLError(position: position, text: "a string with \\u0000") }
        return string
    }
}

extension TOMLPosition {
    fileprivate init(_ position: ctoml_position) {
        self.init(line: Int(position.line), column: Int(position.column))
    }
}

extension String {
    fileprivate init(_ text: ctoml_text) {
        self.init(decoding: UnsafeRawBufferPointer(start: text.bytes, count: text.length), as: UTF8.self)
    }
}
