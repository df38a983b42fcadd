import ArgumentParser
import Fovea

/// What `fovea perplexity --plot` draws.
struct PlotOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Draw the perplexity along the text to an SVG file: a point a window, or finer with --per-token.",
      valueName: "path"))
  var plot: String?

  @Option(
    help: ArgumentHelp(
      "Draw another run too: its --per-token or --state file. May be repeated; without a text only these are drawn.",
      valueName: "name=path"))
  var curve: [NamedFile] = []

  @Option(help: ArgumentHelp("What the plot's legend calls this run (default: the method).", valueName: "name"))
  var plotName: String?

  @Option(
    help: ArgumentHelp("Tokens whose mean is a point (default: an eightieth of the text, or a window).", valueName: "n")
  )
  var plotStretch: Int?

  func validate() throws {
    guard plot != nil || (curve.isEmpty && plotName == nil && plotStretch == nil) else {
      throw ValidationError("--curve, --plot-name and --plot-stretch go with --plot")
    }
    guard plotStretch ?? 1 >= 1 else {
      throw ValidationError("--plot-stretch is \(plotStretch ?? 0), expected at least 1")
    }
  }

  /// Whether curves of other runs are drawn and nothing is evaluated, if there is no text.
  var needsNoText: Bool { plot != nil && !curve.isEmpty }

  /// Finds out before the evaluation what would fail after it; gives the curves of the other runs.
  func prepare() throws -> [PerplexityCurve] {
    guard let plot else { return [] }
    try checkWritable(plot)
    return try curve.map { try PerplexityCurve(name: $0.name, file: $0.path) }
  }

  /// Draws this run's curve, if there is one, and those of others.
  func write(_ own: PerplexityCurve?, _ others: [PerplexityCurve]) throws {
    guard let plot else { return }
    try PerplexityPlot((own.map { [$0] } ?? []) + others, stretch: plotStretch).write(to: plot)
  }
}

/// A name and a file, joined by an equals sign.
struct NamedFile: ExpressibleByArgument {
  let name: String
  let path: String

  init?(argument: String) {
    // A name may hold an equals sign, as in "W = 252"; a path rarely does.
    guard let separator = argument.lastIndex(of: "=") else { return nil }
    name = String(argument[..<separator])
    path = String(argument[argument.index(after: separator)...])
    if name.isEmpty || path.isEmpty { return nil }
  }
}
