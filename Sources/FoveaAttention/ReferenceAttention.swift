internal import FoveaCore

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// The op in double precision with plain loops: the path of float64 tensors.
struct ReferenceAttention {
  let problem: AttentionProblem
  let queries: [Double]
  let keys: [Double]
  let values: [Double]
  let scale: Double
  let softCap: Double?
  let visibleKeys: VisibleKeys
  let mask: (tensor: Tensor, isBoolean: Bool)?
  let sinks: [Float]

  /// The result, row-major `[batch, headCount, queryLength, valueDimension]`, and the log-sum-exp of every row.
  func run() -> (outputs: [Double], logSumExp: [Double]) {
    var outputs: [Double] = []
    var logSumExp: [Double] = []
    for batch in 0..<problem.batchCount {
      for head in 0..<problem.headCount {
        for query in 0..<problem.queryLength {
          let row = attend(batch: batch, head: head, query: query)
          outputs += row.output
          logSumExp.append(row.logSumExp)
        }
      }
    }
    return (outputs, logSumExp)
  }

  private func attend(batch: Int, head: Int, query: Int) -> (output: [Double], logSumExp: Double) {
    let keyValueHead = batch * problem.keyValueHeadCount + head / problem.groupSize
    let range = visibleKeys.range(forQuery: query)
    let queryStart = ((batch * problem.headCount + head) * problem.queryLength + query) * problem.headDimension
    var scores: [(key: Int, score: Double)] = []
    for key in range {
      guard let added = maskValue(batch: batch, head: head, query: query, key: key) else { continue }
      let keyStart = (keyValueHead * problem.keyLength + key) * problem.headDimension
      var score = 0.0
      for index in 0..<problem.headDimension { score += queries[queryStart + index] * keys[keyStart + index] }
      score *= scale
      if let softCap { score = softCap * tanh(score / softCap) }
      scores.append((key, score + added))
    }
    var output = [Double](repeating: 0, count: problem.valueDimension)
    let hasNaN = scores.contains { $0.score.isNaN }
    var maximum = hasNaN ? .nan : scores.reduce(-.infinity) { max($0, $1.score) }
    if maximum == -.infinity { return (output, -.infinity) }
    if !sinks.isEmpty, !hasNaN { maximum = max(maximum, Double(sinks[head])) }
    var sum = sinks.isEmpty ? 0 : exp(Double(sinks[head]) - maximum)
    for (key, score) in scores {
      let weight = exp(score - maximum)
      sum += weight
      if weight == 0 { continue }
      let valueStart = (keyValueHead * problem.keyLength + key) * problem.valueDimension
      for index in output.indices { output[index] += weight * values[valueStart + index] }
    }
    return (output.map { $0 / sum }, maximum + log(sum))
  }

  /// What the mask adds to a score; nil where it hides the key.
  private func maskValue(batch: Int, head: Int, query: Int, key: Int) -> Double? {
    guard let mask else { return 0 }
    let strides = mask.tensor.strides
    let offset = batch * strides[0] + head * strides[1] + query * strides[2] + key * strides[3]
    let value = UnsafeRawPointer(mask.tensor.baseAddress).loadElement(mask.tensor.elementType, at: offset)
    if mask.isBoolean { return value != 0 ? 0 : nil }
    return value == -.infinity ? nil : value
  }
}
