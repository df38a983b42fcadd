import Fovea

/// What `fovea bench model` found.
struct ModelBenchReport: Encodable {
  /// One test of one model. Speeds in tokens a second.
  struct Result: Encodable {
    let model: String
    let type: String
    let precision: String
    let parameterCount: Int
    let weightBytes: Int
    let threads: Int
    let test: String
    let kind: ModelTest.Kind
    let tokenCount: Int
    let depth: Int
    let median: Double
    let minimum: Double
    let maximum: Double
    /// What reading the weights and keys (generation) or the arithmetic (prompts) allows at most; nil where it was not
    /// measured.
    let limit: Double?
    let limitShare: Double?
    let loadSeconds: Double
    let peakMemoryBytes: Int
    /// With `--profile` only.
    var profile: ModelProfile?
  }

  let operation = "model"
  let instructionSet: String
  let processor = processorName()
  let peaks: [AttentionBenchReport.Peaks]
  var results: [Result] = []

  init(instructionSet: String, peaks: [MachinePeaks]) {
    self.instructionSet = instructionSet
    self.peaks = peaks.map(AttentionBenchReport.Peaks.init)
  }
}

extension ModelBenchReport.Result {
  init(_ test: ModelTest, _ benchmark: ModelBenchmark, _ timing: TimesBesideReading, peaks: MachinePeaks) {
    let model = benchmark.model
    let sorted = timing.times.sorted()
    let middle = timing.times.median
    let count = Double(test.count)
    let float32Peak = peaks.float32OperationsPerSecond
    let operationPeak =
      if model.usesInt16Products {
        peaks.int16OperationsPerSecond
      } else {
        model.usesBFloat16Products ? peaks.bfloat16OperationsPerSecond ?? float32Peak : float32Peak
      }
    let limit: Double? =
      switch test.kind {
      case .generation: timing.readingPace.map { $0 / benchmark.bytesPerToken(of: test) }
      case .prompt: operationPeak.map { $0 / (benchmark.operationCount(of: test) / count) }
      }
    self.init(
      model: benchmark.name, type: model.storedTypeName, precision: model.precision.rawValue,
      parameterCount: model.parameterCount, weightBytes: model.weightByteCount, threads: peaks.threadCount,
      test: test.description, kind: test.kind, tokenCount: test.count, depth: test.depth, median: count / middle,
      minimum: count / (sorted.last ?? middle), maximum: count / (sorted.first ?? middle), limit: limit,
      limitShare: limit.map { count / middle / $0 }, loadSeconds: benchmark.loadSeconds,
      peakMemoryBytes: peakMemoryByteCount())
  }

  /// The result for people, below ``ModelBenchReport/heading``.
  var tableRow: String {
    ModelBenchReport.row([
      model, type, precision, byteText(weightBytes), String(threads), test, fixed(median, 1),
      "\(fixed(minimum, 1))–\(fixed(maximum, 1))", limitShare.map { fixed($0 * 100, 0) + " %" } ?? "–",
      fixed(loadSeconds * 1000, 1), byteText(peakMemoryBytes),
    ]) + (profile?.table ?? "")
  }
}

extension ModelBenchReport {
  /// What was measured where, the machine's limits, and the names of the columns.
  var heading: String {
    let threads = peaks.map { String($0.threads) }.joined(separator: " and ")
    let limits = peaks.map { "limits, threads: \($0.threads): \($0.text)\n" }.joined()
    let names = [
      "model", "type", "precision", "weights", "threads", "test", "tokens/s", "range", "limit", "load ms", "memory",
    ]
    return "models, \(instructionSet), threads: \(threads), \(processor)\n\(limits)\n" + ModelBenchReport.row(names)
  }

  /// Names to the left and numbers to the right of columns that hold what usually occurs.
  fileprivate static func row(_ cells: [String]) -> String {
    let widths = [24, 9, 9, 10, 7, 14, 9, 17, 6, 8, 10]
    return rowText(cells, widths: widths, leftAligned: [0, 1, 2, 5])
  }
}
