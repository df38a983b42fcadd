/// The single tokens' values of a comparison.
struct ComparisonValues {
  private(set) var divergences: [Double] = []
  private(set) var losses: [Double] = []
  private(set) var baseLosses: [Double] = []
  private(set) var agreementCount = 0

  mutating func add(divergence: Double, agrees: Bool, baseLoss: Double, loss: Double) {
    divergences.append(divergence)
    losses.append(loss)
    baseLosses.append(baseLoss)
    if agrees { agreementCount += 1 }
  }
}

/// A mean with its standard error, √(variance / (count − 1)); nil for fewer than two values.
public struct Estimate: Sendable, Equatable {
  /// The mean, or what is made of it.
  public let value: Double
  /// One standard deviation of it.
  public let standardError: Double?
}

/// The value below which a share of the values lie.
public struct Quantile: Sendable, Equatable {
  /// From 0 to 1.
  public let share: Double
  /// Between neighbours in proportion.
  public let value: Double

  init(_ share: Double, of sorted: [Double]) {
    let place = share * Double(sorted.count - 1)
    let lower = Int(place)
    let upper = min(lower + 1, sorted.count - 1)
    let part = place - Double(lower)
    self.share = share
    // Without arithmetic where a value is met, which may be infinite.
    value = part == 0 ? sorted[lower] : sorted[lower] * (1 - part) + sorted[upper] * part
  }
}

/// What a model loses against its base.
public struct ComparisonFigures: Sendable, Equatable {
  /// How many tokens were compared.
  public let tokenCount: Int
  /// The Kullback-Leibler divergence of the model's predictions from the base's, in nats a token.
  public let divergence: Estimate
  /// Quantiles of the divergences by their share, from 0.5 to 1.
  public let divergenceQuantiles: [Quantile]
  /// The share of tokens for which both hold the same token likeliest, from 0 to 1.
  public let agreement: Estimate
  /// The base's perplexity.
  public let basePerplexity: Estimate
  /// The model's perplexity.
  public let perplexity: Estimate
  /// The model's mean loss less the base's, in nats. Its error is that of the paired differences: both models find the
  /// same tokens hard, so it is far smaller than that of either loss.
  public let lossDifference: Estimate
  /// The model's perplexity less the base's, with the error of the pair.
  public let perplexityDifference: Estimate

  /// The shares of `divergenceQuantiles`.
  static let shares = [0.5, 0.9, 0.95, 0.99, 0.999, 1]

  init(_ values: ComparisonValues) {
    let count = values.losses.count
    tokenCount = count
    divergence = Estimate(meanOf: values.divergences)
    let sorted = values.divergences.sorted()
    divergenceQuantiles = sorted.isEmpty ? [] : Self.shares.map { Quantile($0, of: sorted) }
    let share = Double(values.agreementCount) / Double(count)
    agreement = Estimate(
      value: share, standardError: count > 1 ? (share * (1 - share) / Double(count - 1)).squareRoot() : nil)
    let (base, own) = (Estimate(meanOf: values.baseLosses), Estimate(meanOf: values.losses))
    basePerplexity = base.exponential
    perplexity = own.exponential
    lossDifference = Estimate(meanOf: zip(values.losses, values.baseLosses).map { $0 - $1 })
    // Of f(x, y) = eˣ − eʸ, to first order, with the covariance of the means.
    let (x, y) = (perplexity.value, basePerplexity.value)
    var error: Double?
    if count > 1, let first = own.standardError, let second = base.standardError,
      let both = lossDifference.standardError
    {
      let covariance = (first * first + second * second - both * both) / 2
      error = max(0, x * x * first * first + y * y * second * second - 2 * x * y * covariance).squareRoot()
    }
    perplexityDifference = Estimate(value: x - y, standardError: error)
  }
}

extension Estimate {
  init(meanOf values: [Double]) {
    let count = Double(values.count)
    let mean = values.reduce(0, +) / count
    // About the mean, since divergences are small and their squares would cancel.
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count
    self.init(value: mean, standardError: values.count > 1 ? (variance / (count - 1)).squareRoot() : nil)
  }

  /// e to the power of this, with the error to first order.
  var exponential: Estimate {
    let power = FoveaEvaluation.exponential(value)
    return Estimate(value: power, standardError: standardError.map { $0 * power })
  }
}
