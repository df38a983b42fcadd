/// What one window gave.
public struct WindowResult: Sendable, Equatable {
  /// Which window of the plan.
  public let index: Int
  /// Which document it is cut from, and its first scored token there.
  public let document: Int
  /// The first scored token's index in the document.
  public let position: Int
  /// How many tokens are scored.
  public let count: Int
  /// The sum of their negative log-likelihoods, in nats, added in the order of the text.
  public let sum: Double
  /// The sum of the squares.
  public let sumOfSquares: Double

  init(index: Int, document: Int, position: Int, count: Int, sum: Double, sumOfSquares: Double) {
    self.index = index
    self.document = document
    self.position = position
    self.count = count
    self.sum = sum
    self.sumOfSquares = sumOfSquares
  }

  /// The result of window `index`, from the negative log-likelihoods of its scored tokens.
  public init(index: Int, window: EvaluationWindow, losses: [Double]) {
    self.init(
      index: index, document: window.document, position: window.scored.lowerBound, count: losses.count,
      sum: losses.reduce(0, +), sumOfSquares: losses.reduce(0) { $0 + $1 * $1 })
  }
}

/// The perplexity of a text and what goes with it.
public struct PerplexityFigures: Sendable, Equatable {
  /// How many windows were evaluated.
  public let windowCount: Int
  /// How many tokens were scored.
  public let tokenCount: Int
  /// The sum of their negative log-likelihoods, in nats.
  public let lossSum: Double
  /// The mean, in nats a token.
  public let meanLoss: Double
  /// exp(`meanLoss`).
  public let perplexity: Double
  /// llama.cpp's estimate: perplexity · √(variance / (count − 1)), with the variance of the tokens' losses; nil for
  /// fewer than two tokens.
  public let standardError: Double?
  /// exp(`lossSum` / words), where the whole text was scored.
  public let wordPerplexity: Double?
  /// exp(`lossSum` / bytes), where the whole text was scored.
  public let bytePerplexity: Double?
  /// `lossSum` / bytes / ln 2, where the whole text was scored.
  public let bitsPerByte: Double?

  /// The figures of `results`, which are added in the order of their windows: shards in any order give the same bits as
  /// one run.
  ///
  /// - Parameter textSize: the size of the text, where all of it was scored.
  public init(_ results: [WindowResult], textSize: TextSize?) {
    let ordered = results.sorted { $0.index < $1.index }
    let count = ordered.reduce(0) { $0 + $1.count }
    let sum = ordered.reduce(0) { $0 + $1.sum }
    let squares = ordered.reduce(0) { $0 + $1.sumOfSquares }
    let mean = sum / Double(count)
    windowCount = ordered.count
    tokenCount = count
    lossSum = sum
    meanLoss = mean
    perplexity = exponential(mean)
    let variance = max(0, squares / Double(count) - mean * mean)
    standardError = count > 1 ? perplexity * (variance / Double(count - 1)).squareRoot() : nil
    wordPerplexity = textSize.map { exponential(sum / Double($0.wordCount)) }
    bytePerplexity = textSize.flatMap { $0.byteCount > 0 ? exponential(sum / Double($0.byteCount)) : nil }
    bitsPerByte = textSize.flatMap { $0.byteCount > 0 ? sum / Double($0.byteCount) / 2.0.naturalLogarithm : nil }
  }
}
