import Fovea
import FoveaCore

/// One operation with its arrays: checked, then timed.
struct AttentionBenchmark: Sendable {
  let attentionCase: AttentionCase
  private let queries: Tensor
  private let keys: Tensor
  private let values: Tensor
  private let mask: AttentionMask

  init(_ attentionCase: AttentionCase) {
    let shape = attentionCase.shape
    let type = attentionCase.elementType
    self.attentionCase = attentionCase
    queries = patternTensor(shape.queryShape, type, seed: 1)
    keys = patternTensor(shape.keyShape, type, seed: 2)
    values = patternTensor(shape.keyShape, type, seed: 3)
    let maskShape = [shape.queryLength, shape.keyLength]
    switch attentionCase.mask {
    case .none: mask = .none
    case .causal: mask = .causal
    case .additive: mask = .array(patternTensor(maskShape, type, seed: 4))
    case .boolean:
      // One key in eight is hidden, so that no tile can be left out as a whole.
      mask = .array(Tensor(BenchmarkPattern(seed: 4).map(maskShape.reduce(1, *)) { $0 > -0.75 }, shape: maskShape))
    }
  }

  private var scale: Float { 1 / Float(attentionCase.shape.headDimension).squareRoot() }

  private func run(on stream: ComputeStream) throws -> Tensor {
    try scaledDotProductAttention(queries: queries, keys: keys, values: values, scale: scale, mask: mask, on: stream)
  }

  /// Seconds of one call, for each repetition, in turns with reading keys and values. Short calls are repeated inside one,
  /// for the clock's sake.
  func times(on stream: ComputeStream, repetitions: Int) throws -> TimesBesideReading {
    let clock = ContinuousClock()
    let first = try clock.measure { _ = try run(on: stream) } / .seconds(1)
    let callCount = Int(max(1, min(1000, (0.02 / max(first, 1e-9)).rounded(.up))))
    let reader = MemoryReader([keys, values])
    var result = TimesBesideReading()
    for _ in 0..<repetitions {
      let seconds = try clock.measure { for _ in 0..<callCount { _ = try run(on: stream) } } / .seconds(callCount)
      result.add(seconds, thenReading: reader, count: callCount, on: stream)
    }
    return result
  }

  /// Compares some rows of the result with the op's float64 path.
  ///
  /// - Throws: an internal `CommandError` that names the place of the first difference.
  func check(on stream: ComputeStream) throws {
    let outputs = try run(on: stream)
    let shape = attentionCase.shape
    let tolerances: [ElementType: Double] = [.float32: 1e-5, .bfloat16: 5e-3, .float16: 3e-4]
    let tolerance = tolerances[attentionCase.elementType] ?? 0
    // Both ends and the middle of each axis, with the axes out of step.
    for sample in 0..<3 {
      let batch = sample * (shape.batchCount - 1) / 2
      let head = (2 - sample) * (shape.headCount - 1) / 2
      let row = sample * (shape.queryLength - 1) / 2
      let expected = try reference(batch: batch, head: head, row: row).doubles()
      let got = outputs.sliced(axis: 0, batch..<batch + 1).sliced(axis: 1, head..<head + 1)
        .sliced(axis: 2, row..<row + 1).doubles()
      for (index, (expected, got)) in zip(expected, got).enumerated() {
        // Written so that NaN fails.
        guard abs(got - expected) <= tolerance * (1 + abs(expected)) else {
          throw CommandError(
            .internalFault,
            """
            attention \(shape) \(attentionCase.elementType) \(attentionCase.mask.rawValue) is wrong at \
            [\(batch), \(head), \(row), \(index)]: \(got), expected \(expected) within \(tolerance)
            """)
        }
      }
    }
  }

  /// One row in float64, from slices of the arrays so that long ones stay cheap.
  private func reference(batch: Int, head: Int, row: Int) throws -> Tensor {
    let shape = attentionCase.shape
    let keyHead = head / (shape.headCount / shape.keyValueHeadCount)
    func slice(_ tensor: Tensor, _ head: Int, _ rows: Range<Int>) -> Tensor {
      let part = tensor.sliced(axis: 0, batch..<batch + 1).sliced(axis: 1, head..<head + 1).sliced(axis: 2, rows)
      return Tensor(part.doubles(), shape: part.shape, elementType: .float64)
    }
    var keyCount = shape.keyLength
    var rowMask = AttentionMask.none
    switch mask {
    case .none: break
    case .causal: keyCount = max(0, row + 1 + shape.keyLength - shape.queryLength)
    case .array(let tensor): rowMask = .array(tensor.sliced(axis: 0, row..<row + 1))
    }
    return try scaledDotProductAttention(
      queries: slice(queries, head, row..<row + 1), keys: slice(keys, keyHead, 0..<keyCount),
      values: slice(values, keyHead, 0..<keyCount), scale: scale, mask: rowMask)
  }
}

private func patternTensor(_ shape: [Int], _ type: ElementType, seed: UInt64) -> Tensor {
  Tensor(BenchmarkPattern(seed: seed).map(shape.reduce(1, *)) { Double($0) }, shape: shape, elementType: type)
}

/// Pseudo-random values in −1..<1 that repeat after a prime number, so that making large arrays takes no time worth
/// mentioning and no two rows are alike.
private struct BenchmarkPattern {
  private static let period = 65_537
  private let values: [Float]

  init(seed: UInt64) {
    var generator = RandomGenerator(seed: seed)
    values = (0..<BenchmarkPattern.period).map { _ in Float(generator.nextUnit() * 2 - 1) }
  }

  func map<Element>(_ count: Int, _ transform: (Float) -> Element) -> [Element] {
    var index = 0
    return (0..<count).map { _ in
      defer { index = index + 1 == BenchmarkPattern.period ? 0 : index + 1 }
      return transform(values[index])
    }
  }
}
