/// The output of a terminal as an SVG picture.
struct TerminalPicture {
    private let lines: [Substring]
    private let title: String

    private static let lineHeight = 17
    private static let columnWidth = 7.85
    private static let margin = 16
    private static let titleHeight = 34
    /// Longer lines are cut off.
    private static let columns = 132

    init(_ transcript: String, title: String) {
        lines = transcript.split(separator: "\n", omittingEmptySubsequences: false).map { $0.prefix(Self.columns) }
        self.title = title
    }

    var svg: String {
        let width = Self.margin * 2 + Int(Double(lines.map(\.count).max() ?? 0) * Self.columnWidth)
        let height = Self.titleHeight + Self.margin + lines.count * Self.lineHeight
        let dots = [("#ff5f56", 18), ("#ffbd2e", 38), ("#27c93f", 58)].map { color, x in
            "<circle cx=\"\(x)\" cy=\"17\" r=\"6\" fill=\"\(color)\"/>"
        }
        let rows = lines.enumerated().filter { !$1.isEmpty }.map { index, line in
            let y = Self.titleHeight + Self.margin + index * Self.lineHeight
            return "<text x=\"\(Self.margin)\" y=\"\(y)\" fill=\"\(color(of: line))\">\(escape(line))</text>"
        }
        return """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(width)" height="\(height)" viewBox="0 0 \(width) \(height)">
            <rect width="100%" height="100%" rx="8" fill="#16181d"/>
            <text x="\(width / 2)" y="22" fill="#8b949e" font-family="sans-serif" font-size="13" text-anchor="middle">\(title)</text>
            \(dots.joined(separator: "\n"))
            <g font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, monospace" font-size="13" xml:space="preserve">
            \(rows.joined(separator: "\n"))
            </g>
            </svg>

            """
    }

    /// The colour of a line, by its source.
    private func color(of line: Substring) -> String {
        if line.hasPrefix("  server") { return "#8b949e" }
        if line.hasPrefix("  agent") { return "#d2d8de" }
        if line.hasPrefix("  status") { return "#7ee787" }
        if line.hasPrefix("  screen") { return "#d2a8ff" }
        return "#79c0ff"
    }

    private func escape(_ text: Substring) -> String {
        String(text).replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    }
}
