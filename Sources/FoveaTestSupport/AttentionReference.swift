#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// Attention of one head by the book, in double precision: scores, softmax and sum as three plain loops.
///
/// - Parameters:
///   - queries: `[queryLength][headDimension]`
///   - keys: `[keyLength][headDimension]`
///   - values: `[keyLength][valueDimension]`
///   - added: what is added to the score of a query and key; nil hides the key.
public func referenceAttention(
  queries: [[Double]], keys: [[Double]], values: [[Double]], valueDimension: Int, scale: Double,
  softCap: Double? = nil, sink: Double? = nil, added: (_ query: Int, _ key: Int) -> Double?
) -> [[Double]] {
  queries.indices.map { query in
    var weights: [(key: Int, weight: Double)] = []
    for key in keys.indices {
      guard let mask = added(query, key) else { continue }
      var score = zip(queries[query], keys[key]).reduce(0.0) { $0 + $1.0 * $1.1 } * scale
      if let softCap { score = softCap * tanh(score / softCap) }
      weights.append((key, score + mask))
    }
    let maximum = max(weights.map(\.weight).max() ?? -.infinity, weights.isEmpty ? -.infinity : sink ?? -.infinity)
    guard maximum > -.infinity else { return [Double](repeating: 0, count: valueDimension) }
    var sum = sink.map { exp($0 - maximum) } ?? 0
    for index in weights.indices {
      weights[index].weight = exp(weights[index].weight - maximum)
      sum += weights[index].weight
    }
    return (0..<valueDimension).map { column in
      weights.reduce(0.0) { $0 + $1.weight * values[$1.key][column] } / sum
    }
  }
}
