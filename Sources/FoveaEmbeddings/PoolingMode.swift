/// How the hidden states of a text's tokens become one vector, as sentence-transformers calls it.
public enum PoolingMode: String, Sendable, CaseIterable {
  /// The state of the first token.
  case firstToken = "cls"
  /// The largest value of each component.
  case max
  case mean
  /// The sum over the square root of the number of tokens.
  case meanOverSquareRoot = "mean_sqrt_len_tokens"
  /// The mean weighted by positions, counted from 1.
  case weightedMean = "weightedmean"
  /// The state of the last token.
  case lastToken = "lasttoken"

  /// Writes `width` values made of rows `rows` of `states`, `stride` elements apart, of which there is at least one;
  /// `firstPosition` is the position of the first of them in the text.
  func pool(
    _ states: UnsafePointer<Float>, stride: Int, rows: Range<Int>, firstPosition: Int, width: Int,
    into target: UnsafeMutablePointer<Float>
  ) {
    func row(_ index: Int) -> UnsafePointer<Float> { states + index * stride }
    func addRows(weight: (Int) -> Float) -> Float {
      target.update(repeating: 0, count: width)
      var total: Float = 0
      for index in rows {
        let factor = weight(index)
        let source = row(index)
        for column in 0..<width { target[column] += source[column] * factor }
        total += factor
      }
      return total
    }
    func divide(by divisor: Float) {
      for column in 0..<width { target[column] /= divisor }
    }
    switch self {
    case .firstToken: target.update(from: row(rows.lowerBound), count: width)
    case .lastToken: target.update(from: row(rows.upperBound - 1), count: width)
    case .max:
      target.update(from: row(rows.lowerBound), count: width)
      for index in rows.dropFirst() {
        let source = row(index)
        // NaN stays: it fails the comparison on either side.
        for column in 0..<width where !(source[column] <= target[column]) && !target[column].isNaN {
          target[column] = source[column]
        }
      }
    case .mean: divide(by: addRows { _ in 1 })
    case .meanOverSquareRoot: divide(by: addRows { _ in 1 }.squareRoot())
    case .weightedMean: divide(by: addRows { Float(firstPosition + $0 - rows.lowerBound + 1) })
    }
  }
}
