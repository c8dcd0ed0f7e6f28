import Glibc
import Host
import TOML

/// One configuration file, checked alone: every key is known, every value allowed. What is wrong is in ``errors``, and the
/// rest of the file counts.
struct Fragment: Sendable {
    let file: String
    private(set) var values: [String: Value] = [:]
    /// The line of each option, from 1.
    private(set) var lines: [String: Int] = [:]
    let isReadableByOthers: Bool
    private(set) var errors: [ConfigurationError] = []
    /// Options that this file sets, or means to set, in a wrong way. They are not reported again as missing.
    private(set) var attempted: Set<String> = []
    /// The file cannot be read to its end: it may set any option.
    private(set) var isIncomplete = false

    static let maximumBytes = 1 << 20

    /// Nil if the file does not exist.
    init?(file: String) {
        do throws(SystemError) {
            let bytes = try Files.read(file, limit: Self.maximumBytes)
            self.init(file: file, bytes: bytes, isReadableByOthers: Files.isReadableByOthers(file))
        } catch {
            if error.isNotFound {
                guard Files.isLink(file) else { return nil }
                self.init(unreadable: .missingTarget(of: file))
                return
            }
            let remedy =
                error.code == EACCES ? "; chgrp upgradelinkd it, and chmod 640: the agent is not root" : ""
            self.init(
                unreadable: ConfigurationError(
                    file: file, key: "", problem: "it cannot be read: \(error.reason)\(remedy)"))
        }
    }

    private init(unreadable error: ConfigurationError) {
        file = error.file
        isReadableByOthers = false
        errors = [error]
        isIncomplete = true
    }

    init(file: String, bytes: [UInt8], isReadableByOthers: Bool = false) {
        self.file = file
        self.isReadableByOthers = isReadableByOthers
        do throws(TOMLError) {
            check(try TOMLTable(parsing: bytes))
        } catch {
            isIncomplete = true
            recover(from: error, bytes)
        }
    }

    /// Checks the other lines of a file that is not TOML.
    private mutating func recover(from first: TOMLError, _ bytes: [UInt8]) {
        let lines = String(decoding: bytes, as: UTF8.self).split(
            omittingEmptySubsequences: false, whereSeparator: { $0 == "\n" || $0 == "\r\n" })
        var remaining = RemainingLines(bytes, lines)
        var next: TOMLError? = first
        for number in 1...RemainingLines.limit {
            guard let error = next else { return }
            let line = error.position.line
            var found = ConfigurationError(error, file: file, lines: lines, before: remaining.before(line))
            switch remaining.leaveOut(errorAt: line) {
            case .continues: next = checkRemaining(remaining, isLast: number == RemainingLines.limit)
            case .section(let section):
                if let section {
                    check(section)
                } else if remaining.hasOptions(after: line, inSection: true) {
                    found.problem += "; the rest of this section was not checked"
                }
                next = checkRemaining(remaining, isLast: number == RemainingLines.limit)
            case .unknown(let before):
                if let before { check(before) }
                if remaining.hasOptions(after: line, inSection: false) {
                    found.problem += "; the rest of this file was not checked"
                }
                next = nil
            }
            if number == RemainingLines.limit, next != nil {
                found.problem += "; the rest of this file was not checked"
            }
            errors.append(found)
        }
    }

    /// Checks the lines if they are TOML, else returns the error.
    private mutating func checkRemaining(_ remaining: RemainingLines, isLast: Bool) -> TOMLError? {
        do throws(TOMLError) {
            check(try TOMLTable(parsing: remaining.bytes))
            return nil
        } catch {
            if isLast, let before = remaining.before(error.position.line) { check(before) }
            return error
        }
    }

    private mutating func check(_ table: TOMLTable) {
        for (name, entry) in table.entries.sorted(by: { $0.value.position < $1.value.position }) {
            let line = entry.position.line
            guard Schema.sectionNames.contains(name) else {
                report(UnknownKey.section(name, Value(entry.value)), line)
                continue
            }
            guard case .table(let fields) = entry.value.content else {
                // The text may be a secret that lost its place.
                var found = Value(entry.value).found
                if case .string = entry.value.content { found = "a text" }
                report(name, line, "found \(found), allowed is a table: [\(name)]")
                attempted.formUnion(Schema.options.filter { $0.section == name }.map(\.key))
                continue
            }
            check(fields, of: name)
        }
    }

    private mutating func check(_ fields: TOMLTable, of section: String) {
        for (name, field) in fields.entries.sorted(by: { $0.value.position < $1.value.position }) {
            let key = "\(section).\(name)"
            let line = field.position.line
            guard let option = Schema.option(key) else {
                // Dotted keys after the header of a section belong to it.
                if case .table(let nested) = field.value.content, Schema.sectionNames.contains(name) {
                    for (inner, entry) in nested.entries {
                        report(UnknownKey.option(inner, of: name, below: section), entry.position.line)
                    }
                } else {
                    report(UnknownKey.option(name, in: section), line)
                }
                continue
            }
            let value = Value(field.value)
            if let objection = option.objection(to: value) {
                report(key, line, objection)
                attempted.insert(key)
            } else {
                values[key] = value
                lines[key] = line
            }
        }
    }

    private mutating func report(_ unknown: UnknownKey, _ line: Int) {
        report(unknown.key, line, unknown.problem)
        attempted.formUnion(unknown.meant)
    }

    private mutating func report(_ key: String, _ line: Int, _ problem: String) {
        errors.append(ConfigurationError(file: file, line: line, key: key, problem: problem))
    }
}
