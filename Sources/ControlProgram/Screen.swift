import Glibc
import UpdateCore

/// Text that a terminal shows and replaces until ``close()``. The commands are those of ECMA-48 and xterm.
struct Screen {
    enum Extent {
        /// The whole screen; what it showed before returns at the end.
        case whole
        /// The row of the cursor. The terminal cuts the text at its right edge (DECAWM off): a part in the next row would stay.
        case row
    }

    private let extent: Extent

    init(_ extent: Extent) {
        self.extent = extent
        // The alternate screen, without the cursor.
        if extent == .whole { draw("\u{1B}[?1049h\u{1B}[?25l") }
    }

    /// Shows these lines in place of the ones before. Long lines are wrapped, those that do not fit are left out.
    func show(_ lines: [Line]) {
        let size = Terminal.size
        switch extent {
        case .whole:
            let rows = lines.flatMap { $0.rows(width: size.columns) }.prefix(size.rows)
            let cleared = rows.map { "\($0)\u{1B}[K" as Shown }
            let text = cleared.dropFirst().reduce(cleared.first ?? "") { "\($0)\n\($1)" }
            draw("\u{1B}[H\u{1B}[?7l\(text)\u{1B}[?7h\u{1B}[J")
        case .row:
            let row = lines.first?.rows(width: size.columns).first ?? ""
            draw("\r\u{1B}[K\u{1B}[?7l\(row)\u{1B}[?7h")
        }
    }

    /// Leaves the terminal as it was.
    func close() {
        switch extent {
        case .whole: draw("\u{1B}[?25h\u{1B}[?1049l")
        case .row: draw("\r\u{1B}[K")
        }
    }
}

/// A line for a terminal of any width.
struct Line {
    var text: Shown
    /// Columns at the beginning of the rows after the first one.
    var indentation = 0

    /// Wraps the line at spaces, or within a longer word. Colours take no column.
    func rows(width: Int) -> [Shown] {
        var rows: [String] = []
        var row = ""
        var column = 0
        // The end of the last word that fits, as a position in `row`, and what follows it.
        var space: (text: String, rest: String, restColumns: Int)?
        var isCommand = false
        let indentation = width >= 2 * self.indentation + 10 ? self.indentation : 0
        for character in text.text {
            if character == "\u{1B}" { isCommand = true }
            if isCommand {
                row.append(character)
                space?.rest.append(character)
                if character == "m" { isCommand = false }
                continue
            }
            let columns = character.columns
            if column + columns > width, column > indentation {
                if character == " " {
                    rows.append(row)
                    (row, column, space) = (String(repeating: " ", count: indentation), indentation, nil)
                    continue
                }
                if let last = space {
                    rows.append(last.text)
                    row = String(repeating: " ", count: indentation) + last.rest
                    column = indentation + last.restColumns
                } else {
                    rows.append(row)
                    (row, column) = (String(repeating: " ", count: indentation), indentation)
                }
                space = nil
            }
            if character == " ", column > indentation {
                space = (row, "", 0)
                row.append(character)
            } else {
                row.append(character)
                space?.rest.append(character)
                space?.restColumns += columns
            }
            column += columns
        }
        rows.append(row)
        return rows.map(Shown.init(harmless:))
    }
}

extension Character {
    /// The columns of a terminal that this character takes, by its Unicode blocks: 2 for those of East Asia and for emoji.
    var columns: Int {
        guard let first = unicodeScalars.first else { return 0 }
        switch first.properties.generalCategory {
        case .nonspacingMark, .enclosingMark: return 0
        default: break
        }
        switch first.value {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF,
            0xFE30...0xFE6F, 0xFF01...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F680...0x1F6FF, 0x1F900...0x1F9FF,
            0x20000...0x3FFFD:
            return 2
        default: return 1
        }
    }
}
