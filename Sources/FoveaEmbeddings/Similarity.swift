/// How alike two vectors are: the larger, the more.
public enum Similarity: String, Sendable, CaseIterable {
  /// The cosine of the angle between them; 0 if one has length 0.
  case cosine
  /// The dot product.
  case dot
  /// Minus the Euclidean distance.
  case euclidean
  /// Minus the sum of the components' distances.
  case manhattan

  /// The similarity of two vectors of the same length.
  ///
  /// - Throws: ``EmbeddingError`` of kind `dimensionMismatch` for different lengths.
  public func callAsFunction(_ first: [Float], _ second: [Float]) throws(EmbeddingError) -> Float {
    try Self.check(first.count, second.count)
    return first.withUnsafeBufferPointer { first in
      second.withUnsafeBufferPointer { value(first, $0) }
    }
  }

  /// The similarities of every vector of `first` with every one of `second`: a row for each of the former.
  ///
  /// - Throws: ``EmbeddingError`` of kind `dimensionMismatch` for different lengths.
  public func matrix(_ first: [[Float]], _ second: [[Float]]) throws(EmbeddingError) -> [[Float]] {
    var rows: [[Float]] = []
    for vector in first {
      var row: [Float] = []
      for other in second { row.append(try self(vector, other)) }
      rows.append(row)
    }
    return rows
  }

  static func check(_ first: Int, _ second: Int) throws(EmbeddingError) {
    guard first == second else {
      throw EmbeddingError(
        .dimensionMismatch, "a vector of \(first) values cannot be compared with one of \(second)")
    }
  }

  /// Sums in float64, eight lanes side by side.
  func value(_ first: UnsafeBufferPointer<Float>, _ second: UnsafeBufferPointer<Float>) -> Float {
    switch self {
    case .dot: return Float(Self.sum(first, second) { $0 * $1 })
    case .euclidean:
      return -Float(
        Self.sum(first, second) { (x, y) in
          let difference = x - y
          return difference * difference
        }.squareRoot())
    case .manhattan: return -Float(Self.sum(first, second) { (x, y) in pointwiseMagnitude(x - y) })
    case .cosine:
      let lengths = Self.sum(first, first) { $0 * $1 } * Self.sum(second, second) { $0 * $1 }
      return lengths > 0 || lengths.isNaN ? Float(Self.sum(first, second) { $0 * $1 } / lengths.squareRoot()) : 0
    }
  }

  @inline(__always)
  private static func sum(
    _ first: UnsafeBufferPointer<Float>, _ second: UnsafeBufferPointer<Float>,
    _ term: (SIMD8<Double>, SIMD8<Double>) -> SIMD8<Double>
  ) -> Double {
    var sums = SIMD8<Double>()
    var index = 0
    while index + 8 <= first.count {
      var (x, y) = (SIMD8<Float>(), SIMD8<Float>())
      for lane in 0..<8 {
        x[lane] = first[index + lane]
        y[lane] = second[index + lane]
      }
      sums += term(SIMD8<Double>(x), SIMD8<Double>(y))
      index += 8
    }
    var (x, y) = (SIMD8<Double>(), SIMD8<Double>())
    for lane in 0..<first.count - index {
      x[lane] = Double(first[index + lane])
      y[lane] = Double(second[index + lane])
    }
    return (sums + term(x, y)).sum()
  }
}

private func pointwiseMagnitude(_ x: SIMD8<Double>) -> SIMD8<Double> { x.replacing(with: -x, where: x .< 0) }
