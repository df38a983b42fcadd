import Fovea

/// What `fovea bench attention` found.
struct AttentionBenchReport: Encodable {
  struct Peaks: Encodable {
    let threads: Int
    let float32Gflops: Double?
    let bfloat16Gflops: Double?
    let int8Gops: Double?
    let int16Gops: Double?
    let memoryGbPerSecond: Double

    init(_ peaks: MachinePeaks) {
      threads = peaks.threadCount
      float32Gflops = peaks.float32OperationsPerSecond.map { $0 / 1e9 }
      bfloat16Gflops = peaks.bfloat16OperationsPerSecond.map { $0 / 1e9 }
      int8Gops = peaks.int8OperationsPerSecond.map { $0 / 1e9 }
      int16Gops = peaks.int16OperationsPerSecond.map { $0 / 1e9 }
      memoryGbPerSecond = peaks.memoryBytesPerSecond / 1e9
    }

    /// The limits in one line.
    var text: String {
      let arithmetic = [
        ("float32", float32Gflops, "GFLOP/s"), ("bfloat16", bfloat16Gflops, "GFLOP/s"), ("int8", int8Gops, "GOP/s"),
        ("int16", int16Gops, "GOP/s"),
      ].compactMap { name, value, unit in value.map { "\(name) \(fixed($0, 0)) \(unit), " } }.joined()
      return "\(arithmetic)memory \(fixed(memoryGbPerSecond, 1)) GB/s"
    }
  }

  /// One case on one number of threads. Times are in milliseconds.
  struct Result: Encodable {
    let shape: AttentionShape
    let type: String
    let mask: AttentionMaskKind
    let threads: Int
    let median: Double
    let minimum: Double
    let maximum: Double
    let gflops: Double
    /// `gflops` as a part of the peak for the type; nil where none was measured.
    let peakShare: Double?
    let gbPerSecond: Double
    /// `gbPerSecond` as a part of the pace at which the same arrays are read and nothing else, in turn with the
    /// repetitions; nil for less than a cache line.
    let readingShare: Double?
    /// Working memory of all threads together.
    let scratchBytes: Int
  }

  let operation = "attention"
  let instructionSet: String
  let processor = processorName()
  let peaks: [Peaks]
  var results: [Result] = []

  init(instructionSet: String, peaks: [MachinePeaks]) {
    self.instructionSet = instructionSet
    self.peaks = peaks.map(Peaks.init)
  }
}

extension AttentionBenchReport.Result {
  init(_ attentionCase: AttentionCase, _ timing: TimesBesideReading, scratchByteCount: Int, peaks: MachinePeaks) {
    let sorted = timing.times.sorted()
    let middle = timing.times.median
    // float16 is widened to float32, and so is bfloat16 where the dot instruction is missing.
    let float32Peak = peaks.float32OperationsPerSecond
    let peak = attentionCase.elementType == .bfloat16 ? peaks.bfloat16OperationsPerSecond ?? float32Peak : float32Peak
    self.init(
      shape: attentionCase.shape, type: attentionCase.elementType.rawValue, mask: attentionCase.mask,
      threads: peaks.threadCount, median: middle * 1e3, minimum: (sorted.first ?? 0) * 1e3,
      maximum: (sorted.last ?? 0) * 1e3, gflops: attentionCase.operationCount / middle / 1e9,
      peakShare: peak.map { attentionCase.operationCount / middle / $0 },
      gbPerSecond: attentionCase.keyValueByteCount / middle / 1e9,
      readingShare: timing.readingPace.map { attentionCase.keyValueByteCount / middle / $0 },
      scratchBytes: scratchByteCount)
  }

  /// The result for people, below ``AttentionBenchReport/heading``.
  var tableRow: String {
    AttentionBenchReport.row([
      shape.description, type, mask.rawValue, String(threads), fixed(median, 3),
      "\(fixed(minimum, 3))–\(fixed(maximum, 3))", fixed(gflops, 1), peakShare.map { percent($0) } ?? "–",
      fixed(gbPerSecond, 1), readingShare.map { percent($0) } ?? "–", byteText(scratchBytes),
    ])
  }

  private func percent(_ share: Double) -> String { fixed(share * 100, 0) + " %" }
}

extension AttentionBenchReport {
  /// What was measured where, the machine's limits, and the names of the columns.
  var heading: String {
    let threads = peaks.map { String($0.threads) }.joined(separator: " and ")
    var text = "attention, \(instructionSet), threads: \(threads), \(processor)\n"
    for peaks in peaks { text += "limits, threads: \(peaks.threads): \(peaks.text)\n" }
    let names = [
      "B,Nq,Nkv,Tq,Tkv,D", "type", "mask", "threads", "ms", "range", "GFLOP/s", "peak", "GB/s", "reading", "scratch",
    ]
    return text + "\n" + AttentionBenchReport.row(names)
  }

  /// Names to the left and numbers to the right of columns that hold what usually occurs.
  fileprivate static func row(_ cells: [String]) -> String {
    let widths = [25, 9, 9, 7, 10, 19, 9, 6, 7, 7, 9]
    return rowText(cells, widths: widths, leftAligned: [0, 1, 2])
  }
}
