#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// Draws a token by its probability, after temperature, top-k, top-p and min-p, in memory kept from token to token.
///
/// Weights are probabilities before normalisation, relative to the likeliest token's, which has 1. Sums run in double
/// and in a fixed order.
struct Lottery {
  private let options: SamplingOptions
  private var random: RandomGenerator
  private var selection = CandidateSelection()
  /// Of the candidates.
  private var weights: [Double] = []
  private let blocks: LogitBlocks

  /// Draws with a temperature above 0.
  init(_ options: SamplingOptions, random: RandomGenerator, blocks: LogitBlocks) {
    self.options = options
    self.random = random
    self.blocks = blocks
  }

  /// A token of `logits`, of which `maximum` is the highest.
  mutating func draw(from logits: UnsafeBufferPointer<Float>, maximum: Float) -> Int {
    // Capped, so that the likeliest token's difference of 0 stays 0 at the smallest temperatures.
    let scale = min(1 / options.temperature, 1e30)
    let weight = { (logit: Float) in exp((Double(logit) - Double(maximum)) * scale) }
    if options.topK > 0, options.topK < logits.count {
      selection.selectLikeliest(options.topK, of: logits)
      keepTopP(of: selection.candidates.reduce(0) { $0 + weight($1.logit) }, weight)
    } else if options.topP < 1 {
      let total = blocks.weightSum(of: logits, maximum: maximum, scale: Float(scale))
      let target = options.topP * total
      var sum = 0.0
      // All tokens with less than an equal share of 1 − topP have less than 1 − topP together: they cannot be needed.
      let share = max(options.minP, (1 - options.topP) * total / Double(logits.count))
      selection.selectLikeliest(of: logits, notBelow: lowestLogit(ofWeight: share, maximum)) { candidate in
        sum += weight(candidate.logit)
        return sum >= target
      }
    } else if options.minP > 0 {
      let minP = options.minP
      selection.selectLikeliest(of: logits, notBelow: lowestLogit(ofWeight: minP, maximum)) { weight($0.logit) < minP }
    } else {
      return blocks.draw(random.nextUnit(), from: logits, maximum: maximum, scale: Float(scale))
    }
    weights.removeAll(keepingCapacity: true)
    var total = 0.0
    for candidate in selection.candidates {
      let weight = weight(candidate.logit)
      // Sorted: all that follow are unlikelier. The likeliest, with weight 1, always stays.
      if weight < options.minP { break }
      weights.append(weight)
      total += weight
    }
    return Int(selection.candidates[weights.drawn(by: random.nextUnit() * total).index].token)
  }

  /// Keeps the fewest candidates whose weights add up to topP of `total`.
  private mutating func keepTopP(of total: Double, _ weight: (Float) -> Double) {
    guard options.topP < 1 else { return }
    let target = options.topP * total
    var sum = 0.0
    let last = selection.candidates.firstIndex { candidate in
      sum += weight(candidate.logit)
      return sum >= target
    }
    if let last { selection.keepFirst(last + 1) }
  }

  /// A bound below the logit of every token with at least this weight, with slack for rounding.
  private func lowestLogit(ofWeight weight: Double, _ maximum: Float) -> Float {
    let bound = Double(maximum) + log(weight) * options.temperature
    return Float(bound - 1e-3 * (1 + abs(bound)))
  }
}
