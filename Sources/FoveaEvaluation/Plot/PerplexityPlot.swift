internal import FoveaCore

/// Perplexity along a text as an SVG image, one line a run, with a logarithmic axis.
public struct PerplexityPlot: Sendable {
  /// The runs, in the order of the legend.
  public let curves: [PerplexityCurve]
  /// Tokens of a stretch, whose mean is a point of a line.
  public let stretch: Int

  private static let (width, height) = (800.0, 420.0)
  private static let (right, bottom) = (36.0, 48.0)
  private static let legendRowHeight = 20.0
  /// About that of most letters and digits; there is no font here to measure with.
  private static let letterWidth = 7.4
  /// Hues that people with any colour vision tell apart (Okabe and Ito 2008), darker on white and lighter on black.
  private static let colors = [
    ("#0072b2", "#56b4e9"), ("#d55e00", "#ff8c42"), ("#009e73", "#2fc99a"), ("#b1578c", "#e79cc2"),
    ("#8a6d00", "#f0c419"), ("#555555", "#bbbbbb"),
  ]

  /// A plot of `curves`.
  ///
  /// - Parameter stretch: nil for an eightieth of the longest curve, but no less than from window to window.
  /// - Throws: ``EvaluationError`` if there is nothing to draw, or the stretch is not positive.
  public init(_ curves: [PerplexityCurve], stretch: Int? = nil) throws(EvaluationError) {
    let length = curves.map(\.length).max() ?? 0
    guard length > 0 else { throw EvaluationError(.textTooShort, "there is no scored token to plot") }
    guard stretch ?? 1 >= 1 else {
      throw EvaluationError(.invalidOption, "the plot's stretch is \(stretch ?? 0) tokens, expected at least 1")
    }
    self.curves = curves
    self.stretch = stretch ?? max(length / 80, curves.map(\.longestStep).max() ?? 1, 1)
  }

  /// Writes the image to `path`, replacing what is there at once.
  public func write(to path: String) throws(EvaluationError) { try replaceFile(path, with: svg) }

  /// The image.
  public var svg: String {
    let lines = curves.map { $0.points(width: stretch) }
    let values = lines.flatMap { $0.compactMap(\.perplexity) }
    let horizontal = PlotAxis(to: Double(curves.map(\.length).max() ?? 1))
    let vertical = PlotAxis(logarithmicFrom: values.min() ?? 1, to: values.max() ?? 1)
    let left = 22 + Self.letterWidth * Double(vertical.ticks.map { tickText($0).count }.max() ?? 0)
    let legend = legend(left: left)
    let top = legend.height + 14
    func x(_ value: Double) -> Double { left + horizontal.place(value) * (Self.width - left - Self.right) }
    func y(_ value: Double) -> Double {
      Self.height - Self.bottom - vertical.place(value) * (Self.height - Self.bottom - top)
    }
    var body = ""
    for tick in vertical.ticks {
      body += "<path class=\"grid\" d=\"M\(short(left)) \(short(y(tick)))H\(short(Self.width - Self.right))\"/>\n"
      body += text(tickText(tick), left - 8, y(tick) + 4, anchor: "end")
    }
    for tick in horizontal.ticks {
      body += "<path class=\"axis\" d=\"M\(short(x(tick))) \(short(Self.height - Self.bottom))v5\"/>\n"
      body += text(tickText(tick), x(tick), Self.height - Self.bottom + 19, anchor: "middle")
    }
    body += "<path class=\"axis\" d=\"M\(short(left)) \(short(top))V\(short(Self.height - Self.bottom))"
    body += "H\(short(Self.width - Self.right))\"/>\n"
    let middle = (left + Self.width - Self.right) / 2
    body += text("position in the text, in tokens", middle, Self.height - 10, anchor: "middle")
    for (index, points) in lines.enumerated() {
      body += "<path class=\"line c\(index % Self.colors.count)\" d=\"\(Self.path(points, x, y))\"/>\n"
    }
    return head + legend.text + body + "</svg>\n"
  }

  /// The line through the points that are there; a single one between gaps is a dot.
  private static func path(
    _ points: [(position: Double, perplexity: Double?)], _ x: (Double) -> Double, _ y: (Double) -> Double
  ) -> String {
    var path = ""
    var isDrawing = false
    for (index, point) in points.enumerated() {
      guard let perplexity = point.perplexity else {
        isDrawing = false
        continue
      }
      let isAlone = !isDrawing && (index + 1 == points.count || points[index + 1].perplexity == nil)
      path += (isDrawing ? "L" : "M") + "\(short(x(point.position))) \(short(y(perplexity)))" + (isAlone ? "h.1" : "")
      isDrawing = true
    }
    return path
  }

  private var head: String {
    let light = Self.colors.enumerated().map { ".c\($0.offset){stroke:\($0.element.0)}" }.joined()
    let dark = Self.colors.enumerated().map { ".c\($0.offset){stroke:\($0.element.1)}" }.joined()
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(short(Self.width)) \(short(Self.height))" role="img">
      <title>Perplexity along the text, means of \(tickText(Double(stretch))) tokens</title>
      <style>
      text{font:13px system-ui,sans-serif;fill:#333}
      .page{fill:#fff}.axis{stroke:#333;fill:none}.grid{stroke:#ddd}
      .line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
      \(light)
      @media(prefers-color-scheme:dark){
      text{fill:#ddd}.page{fill:#14171a}.axis{stroke:#ddd}.grid{stroke:#333}
      \(dark)
      }
      </style>
      <rect class="page" width="100%" height="100%"/>

      """
  }

  /// What the vertical axis shows, and below it the curves' names with their perplexities, as many in a row as fit.
  private func legend(left: Double) -> (text: String, height: Double) {
    var result = text("perplexity, means of \(tickText(Double(stretch))) tokens", 16, 22)
    var (x, y) = (left, 22 + Self.legendRowHeight)
    for (index, curve) in curves.enumerated() {
      let label = "\(curve.name): \(perplexityText(curve.perplexity))"
      let width = 34 + Self.letterWidth * Double(label.count) + 16
      if x > left, x + width > Self.width - Self.right {
        x = left
        y += Self.legendRowHeight
      }
      result += "<path class=\"line c\(index % Self.colors.count)\" d=\"M\(short(x)) \(short(y - 4))h26\"/>\n"
      result += text(label, x + 34, y)
      x += width
    }
    return (result, y)
  }

  private func text(_ content: String, _ x: Double, _ y: Double, anchor: String? = nil) -> String {
    let anchor = anchor.map { " text-anchor=\"\($0)\"" } ?? ""
    return "<text x=\"\(short(x))\" y=\"\(short(y))\"\(anchor)>\(escaped(content))</text>\n"
  }
}

/// At most one digit after the point.
private func short(_ value: Double) -> String {
  let tenths = Int((value * 10).rounded())
  return tenths % 10 == 0 ? String(tenths / 10) : "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)"
}

/// A round number with its thousands apart.
private func tickText(_ value: Double) -> String {
  guard value < 1e15 else { return value.description }
  guard value == value.rounded() else {
    // A mark is a multiple of a power of ten; its digits end after a few.
    return String(((value * 1e4).rounded() / 1e4).description)
  }
  var digits = Array(String(Int(value)))
  for place in stride(from: digits.count - 3, to: 0, by: -3) { digits.insert(",", at: place) }
  return String(digits)
}

/// Three or more digits.
private func perplexityText(_ value: Double) -> String {
  guard value < 100 else { return value < 1e15 ? tickText(value.rounded()) : value.description }
  let scale = value < 10 ? 1000.0 : 100.0
  return ((value * scale).rounded() / scale).description
}

/// What XML allows as text.
private func escaped(_ text: String) -> String {
  var result = ""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "&": result += "&amp;"
    case "<": result += "&lt;"
    case ">": result += "&gt;"
    case "\t", "\n", "\r", "\u{20}"..."\u{D7FF}", "\u{E000}"..."\u{FFFD}", "\u{10000}"..."\u{10FFFF}":
      result.unicodeScalars.append(scalar)
    default: result += "\u{FFFD}"
    }
  }
  return result
}
