import FoveaAttention
import FoveaCore
import FoveaTestSupport

/// One call of the op on random tensors, with the answer of the double-precision reference for the same rounded inputs.
struct AttentionCase: CustomStringConvertible {
  enum Layout: String, CaseIterable { case contiguous, transposed, sliced }
  enum MaskKind: String, CaseIterable { case none, causal, boolean, additive, perHead, hiddenRows }

  var batchCount = 1
  var headCount = 2
  var keyValueHeadCount = 1
  var queryLength = 7
  var keyLength = 43
  var headDimension = 64
  var valueDimension: Int?
  var elementType = ElementType.float32
  var layout = Layout.contiguous
  var maskKind = MaskKind.none
  var hasSinks = false
  var options = AttentionOptions()
  /// The query rows that are compared; nil for all. Long cases would keep the plain reference busy for minutes.
  var comparedRows: [Int]?
  /// Whether a bfloat16 result may be as far off as the rounding of the softmax's weights takes it.
  var allowsRoundedWeights = false

  var description: String {
    "\(elementType) B\(batchCount) H\(headCount)/\(keyValueHeadCount) T\(queryLength)x\(keyLength) D\(headDimension)"
      + "/\(valueDimension ?? headDimension) \(layout) \(maskKind)\(hasSinks ? " sinks" : "") \(options)"
  }

  /// Error allowed, times 1 + |reference|: accumulated float32 rounding, and the rounding of weights and results.
  var tolerance: Double {
    switch elementType {
    case .bfloat16: 5e-3
    case .float16: 3e-4
    default: 1e-5
    }
  }

  /// Whether `got` may stand for the exact `expected`.
  ///
  /// In float16 a value between 2 and 4 is up to 9.8e-4 away from its neighbours, and 3e-4·(1 + 2) is less: no float16
  /// at all may be as close as the tolerance asks. So a result is right, too, if it is what a sum within float32's
  /// tolerance rounds to.
  ///
  /// In bfloat16 the softmax's weights are rounded too, each by at most 2^-8 of itself: where large values cancel that is
  /// more than the tolerance, whatever the order of the sum. `magnitude` gives the sum of |weight · value|.
  private func isClose(_ got: Double, _ expected: Double, magnitude: () -> Double) -> Bool {
    if got.isNaN || expected.isNaN { return got.isNaN && expected.isNaN }
    if got == expected || abs(got - expected) <= tolerance * (1 + abs(expected)) { return true }
    let slack = 1e-5 * (1 + abs(expected))
    if elementType == .bfloat16, allowsRoundedWeights {
      return abs(got - expected) <= (magnitude() + abs(expected)) / 256 + slack
    }
    guard elementType == .float16 else { return false }
    let bounds = Tensor([expected - slack, expected + slack], shape: [2], elementType: .float16).doubles()
    return bounds[0] <= got && got <= bounds[1]
  }

  private var scale: Float { 1 / Float(headDimension).squareRoot() }

  func tensor(heads: Int, length: Int, dimension: Int, random: inout RandomValues) -> Tensor {
    let values = random.values(batchCount * heads * length * dimension)
    let shape = [batchCount, heads, length, dimension]
    let plain = Tensor(values, shape: shape, elementType: elementType)
    switch layout {
    case .contiguous: return plain
    case .transposed:
      // Stored as [batch, length, heads, dimension], as projections leave it.
      return plain.transposed([0, 2, 1, 3]).contiguous().transposed([0, 2, 1, 3])
    case .sliced:
      // The middle of a longer buffer whose other rows hold large stale values.
      let shape = [batchCount, heads, length + 8, dimension]
      let stale = elementType == .float16 ? 6e4 : 1e30
      let buffer = Tensor(
        [Double](repeating: stale, count: shape.reduce(1, *)), shape: shape, elementType: elementType)
      let window = buffer.sliced(axis: 2, 3..<length + 3)
      window.copyElements(from: plain)
      return window
    }
  }

  func maskTensor(random: inout RandomValues) -> Tensor? {
    let shape: [Int]
    switch maskKind {
    case .none, .causal: return nil
    case .boolean, .additive, .hiddenRows: shape = [queryLength, keyLength]
    case .perHead: shape = [batchCount, headCount, queryLength, keyLength]
    }
    let count = shape.reduce(1, *)
    if maskKind == .additive {
      let values = random.values(count).map { $0 > 1 ? -Double.infinity : $0 }
      return Tensor(values, shape: shape, elementType: elementType)
    }
    let values = (0..<count).map { index in
      if maskKind == .hiddenRows, index / keyLength % 3 == 1 { return false }
      return random.next() % 3 != 0
    }
    return Tensor(values, shape: shape)
  }

  /// Runs the op on each stream; returns a description of the first wrong value.
  func firstMismatch(on streams: [ComputeStream], seed: UInt64) throws -> String? {
    var worstError = 0.0
    return try firstMismatch(on: streams, seed: seed, worstError: &worstError)
  }

  /// The same; raises `worstError` to the largest error in units of 1 + |reference|.
  func firstMismatch(on streams: [ComputeStream], seed: UInt64, worstError: inout Double) throws -> String? {
    var random = RandomValues(seed: seed)
    let queries = tensor(heads: headCount, length: queryLength, dimension: headDimension, random: &random)
    let keys = tensor(heads: keyValueHeadCount, length: keyLength, dimension: headDimension, random: &random)
    let values = tensor(
      heads: keyValueHeadCount, length: keyLength, dimension: valueDimension ?? headDimension, random: &random)
    let mask = maskTensor(random: &random)
    let sinks =
      hasSinks ? Tensor(random.values(headCount).map { $0 * 10 }, shape: [headCount], elementType: elementType) : nil
    let expected = reference(queries: queries, keys: keys, values: values, mask: mask, sinks: sinks)
    var magnitudes: [Double]?
    func magnitude(_ index: Int) -> Double {
      let known =
        magnitudes
        ?? reference(
          queries: queries, keys: keys,
          values: Tensor(values.doubles().map(abs), shape: values.shape, elementType: .float64), mask: mask,
          sinks: sinks)
      magnitudes = known
      return known[index]
    }
    for stream in streams {
      let outputs = try scaledDotProductAttention(
        queries: queries, keys: keys, values: values, scale: scale,
        mask: maskKind == .causal ? .causal : mask.map { .array($0) } ?? .none, sinks: sinks, options: options,
        on: stream)
      guard outputs.elementType == elementType else { return "result type \(outputs.elementType)" }
      let got = selectedRows(of: outputs).doubles()
      guard got.count == expected.count else { return "\(self): \(got.count) values instead of \(expected.count)" }
      for (index, (got, expected)) in zip(got, expected).enumerated() {
        guard isClose(got, expected, magnitude: { magnitude(index) }) else {
          return """
            \(self) \(stream.instructionSet.name) \(stream.threadCount) threads: at \(index): expected \(expected), \
            got \(got)
            """
        }
        worstError = max(worstError, abs(got - expected) / (1 + abs(expected)))
      }
    }
    return nil
  }

  /// The rows of a result that are compared.
  private func selectedRows(of outputs: Tensor) -> Tensor {
    guard let comparedRows else { return outputs }
    let shape = [batchCount, headCount, comparedRows.count, valueDimension ?? headDimension]
    let selected = Tensor(zeros: shape, elementType: outputs.elementType)
    for (index, row) in comparedRows.enumerated() {
      selected.sliced(axis: 2, index..<index + 1).copyElements(from: outputs.sliced(axis: 2, row..<row + 1))
    }
    return selected
  }

  private func reference(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor?, sinks: Tensor?) -> [Double] {
    let maskValues = mask?.broadcast(to: [batchCount, headCount, queryLength, keyLength])?.doubles()
    let isBoolean = mask?.elementType == .bool
    let sinkValues = sinks?.doubles()
    let q = rows(of: queries)
    let k = rows(of: keys)
    let v = rows(of: values)
    let bounds = sequenceBounds
    var result: [Double] = []
    for batch in 0..<batchCount {
      for head in 0..<headCount {
        let keyValueHead = head / (headCount / keyValueHeadCount)
        let compared = comparedRows ?? Array(0..<queryLength)
        let rows = referenceAttention(
          queries: compared.map { q[batch][head][$0] }, keys: k[batch][keyValueHead], values: v[batch][keyValueHead],
          valueDimension: valueDimension ?? headDimension, scale: Double(scale),
          softCap: options.softCap.map(Double.init), sink: sinkValues?[head]
        ) { index, key in
          let query = compared[index]
          let position = query + keyLength - queryLength
          if maskKind == .causal, key > position { return nil }
          if let window = options.window, key <= position - window { return nil }
          if let bounds, !bounds[query].contains(key) { return nil }
          guard let maskValues else { return 0 }
          let value = maskValues[((batch * headCount + head) * queryLength + query) * keyLength + key]
          if isBoolean { return value != 0 ? 0 : nil }
          return value == -.infinity ? nil : value
        }
        result += rows.flatMap { $0 }
      }
    }
    return result
  }

  private var sequenceBounds: [Range<Int>]? {
    options.packedLengths.map { lengths in
      var begin = 0
      return lengths.flatMap { length -> [Range<Int>] in
        defer { begin += length }
        return Array(repeating: begin..<begin + length, count: length)
      }
    }
  }

  private func rows(of tensor: Tensor) -> [[[[Double]]]] {
    let flat = tensor.doubles()
    let (heads, length, dimension) = (tensor.shape[1], tensor.shape[2], tensor.shape[3])
    return (0..<tensor.shape[0]).map { batch in
      (0..<heads).map { head in
        (0..<length).map { row in
          let start = ((batch * heads + head) * length + row) * dimension
          return Array(flat[start..<start + dimension])
        }
      }
    }
  }
}

/// A stream of two threads for every instruction set that the CPU has, and one of one thread for the best.
func testStreams() throws -> [ComputeStream] {
  let all = try InstructionSet.available.map { try ComputeStream(threadCount: 2, instructionSet: $0) }
  return try all + [ComputeStream(threadCount: 1, instructionSet: InstructionSet.available[0])]
}
