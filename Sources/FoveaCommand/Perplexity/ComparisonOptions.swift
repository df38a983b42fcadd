import ArgumentParser
import Fovea

/// What `fovea perplexity` does with the predictions besides scoring.
struct ComparisonOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Compare with a base: the folder of a model, or a file of --save-logits.", valueName: "base"))
  var compare: String?

  @Option(help: ArgumentHelp("The arithmetic of a base that is a folder (default: that of --precision)."))
  var comparePrecision: Precision?

  @Option(help: ArgumentHelp("Write all log-probabilities, in 16 bits each, to a file.", valueName: "path"))
  var saveLogits: String?

  func validate() throws {
    guard comparePrecision == nil || compare != nil else {
      throw ValidationError("--compare-precision goes with --compare")
    }
  }

  /// Whether predictions are needed, which a state does not hold.
  var needsPredictions: Bool { compare != nil || saveLogits != nil }

  /// The base that `compare` names.
  func base(on stream: ComputeStream, precision: Precision) throws -> ModelComparison.Base? {
    guard let compare else { return nil }
    var status = stat()
    guard stat(compare, &status) == 0 else {
      throw CommandError(.missingInput, "\(compare): \(String(cString: strerror(errno)))")
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      guard comparePrecision == nil else {
        throw CommandError(.usage, "--compare-precision goes with a folder, \(compare) is a file")
      }
      return .saved(try SavedLogits(compare))
    }
    return .model(
      try DecoderModel.load(folder: compare, precision: comparePrecision ?? precision, stream: stream))
  }
}

/// What `--compare` tells. Divergences and losses are in nats.
struct ComparisonReport: Encodable {
  struct Value: Encodable {
    let value: Double
    let standardError: Double?

    init(_ estimate: Estimate) {
      value = estimate.value
      standardError = estimate.standardError
    }
  }

  struct Quantile: Encodable {
    let share: Double
    let value: Double
  }

  let base: String
  let basePerplexity: Value
  let divergence: Value
  let divergenceQuantiles: [Quantile]
  let agreement: Value
  let lossDifference: Value
  let perplexityDifference: Value

  init(base: String, _ figures: ComparisonFigures) {
    self.base = base
    basePerplexity = Value(figures.basePerplexity)
    divergence = Value(figures.divergence)
    divergenceQuantiles = figures.divergenceQuantiles.map { Quantile(share: $0.share, value: $0.value) }
    agreement = Value(figures.agreement)
    lossDifference = Value(figures.lossDifference)
    perplexityDifference = Value(figures.perplexityDifference)
  }

  /// Rows for the table.
  var rows: [(name: String, value: String)] {
    func text(_ value: Value, _ digits: Int, factor: Double = 1, unit: String = "") -> String {
      fixed(value.value * factor, digits)
        + (value.standardError.map { " ± " + fixed($0 * factor, digits) } ?? "") + unit
    }
    let quantiles = divergenceQuantiles.map { quantile in
      let name =
        quantile.share == 0.5 ? "median" : quantile.share == 1 ? "maximum" : fixed(quantile.share * 100, 1) + " %"
      return "\(name) \(fixed(quantile.value, 6))"
    }
    return [
      ("base", base),
      ("base perplexity", text(basePerplexity, 4)),
      ("difference", "\(text(perplexityDifference, 5)), loss \(text(lossDifference, 6)) nats a token"),
      ("divergence", text(divergence, 7, unit: " nats a token")),
      ("", quantiles.joined(separator: ", ")),
      ("same likeliest", text(agreement, 3, factor: 100, unit: " %")),
    ]
  }
}
