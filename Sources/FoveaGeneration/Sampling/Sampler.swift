internal import FoveaCore

/// Chooses the tokens of one text, one after another.
///
/// The choice depends only on the options, the seed, and the logits and tokens that came before. See
/// ``SamplingOptions`` for the order of the steps.
public struct Sampler: Sendable {
  /// A token and how likely the model found it.
  public struct Choice: Sendable, Equatable {
    /// The token's id.
    public let token: Int
    /// The natural logarithm of the token's probability under the model: log-softmax of the logits as the model gave
    /// them, before bias, penalties, temperature and cuts; accurate to about 10⁻⁶.
    public let logProbability: Double
  }

  /// What the sampler was made with; its seed is the one in use.
  public let options: SamplingOptions
  /// The number of logits that each call takes.
  public let vocabularySize: Int
  private let instructionSet: InstructionSet
  private var penalties: Penalties
  private var lottery: Lottery
  private var position: Int

  /// Prepares for a text that begins with `prompt`, whose tokens the repetition penalty sees.
  ///
  /// - Throws: ``GenerationError`` for an option out of range, and for a biased or prompt token out of the vocabulary.
  public init(_ options: SamplingOptions, vocabularySize: Int, prompt: [Int] = []) throws(GenerationError) {
    try options.validate()
    for token in prompt + options.logitBias.keys.sorted() where !(0..<vocabularySize).contains(token) {
      throw .tokenOutOfVocabulary(token: token, vocabularySize: vocabularySize)
    }
    var options = options
    // 32 bits, so that the seed survives JSON readers that know only doubles.
    let seed = options.seed ?? UInt64.random(in: 0...UInt64(UInt32.max))
    options.seed = seed
    self.options = options
    self.vocabularySize = vocabularySize
    // Who names one that cannot run here has been told by the stream that made the logits.
    instructionSet = (try? InstructionSet.selected()) ?? InstructionSet.available[0]
    lottery = Lottery(options, random: RandomGenerator(seed: seed))
    penalties = Penalties(options, vocabularySize: vocabularySize, prompt: prompt)
    position = prompt.count
  }

  /// Chooses the token that follows, and remembers it for the penalties.
  ///
  /// - Parameter logits: `[vocabularySize]`, left as they are.
  /// - Throws: ``GenerationError/noUsableLogits(position:)`` where a logit is NaN or +infinity, or all are −infinity.
  public mutating func choose(_ logits: UnsafeBufferPointer<Float>) throws(GenerationError) -> Choice {
    precondition(logits.count == vocabularySize, "\(logits.count) logits for \(vocabularySize) tokens")
    let raw = try summary(of: logits)
    let token = try penalties.withAdjusted(logits) { adjusted throws(GenerationError) -> Int in
      let best = options.changesLogits ? try Sampler.likeliest(adjusted, position: position) : raw.likeliest
      return options.temperature == 0 ? best : lottery.draw(from: adjusted, maximum: adjusted[best])
    }
    penalties.append(token)
    position += 1
    return Choice(token: token, logProbability: Double(logits[token]) - raw.logSum)
  }

  /// Chooses the token that follows.
  public mutating func choose(_ logits: [Float]) throws(GenerationError) -> Choice {
    let result = logits.withUnsafeBufferPointer { buffer in
      Result { () throws(GenerationError) -> Choice in try choose(buffer) }
    }
    return try result.get()
  }

  private func summary(
    of logits: UnsafeBufferPointer<Float>
  ) throws(GenerationError) -> (likeliest: Int, logSum: Double) {
    let best = try Sampler.likeliest(logits, position: position)
    // Nearly all of a greedy choice's time: with the widest vectors it stays below 1 % of the time of a token.
    let logSum = instructionSet.logSumExp(logits)
    guard logSum.isFinite else { throw .noUsableLogits(position: position) }
    return (best, logSum)
  }

  /// The lowest id among the highest logits.
  private static func likeliest(
    _ logits: UnsafeBufferPointer<Float>, position: Int
  ) throws(GenerationError) -> Int {
    // The highest value first, lane by lane, then its first place: several times as fast as one loop for both. A NaN
    // is never greater, so it is passed over here; the sum of the weights finds it.
    var lanes = SIMD16<Float>(repeating: -.infinity)
    var index = 0
    let bytes = UnsafeRawBufferPointer(logits)
    while index + 16 <= logits.count {
      // In bounds: 16 of the remaining elements.
      let next = bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<Float>.stride, as: SIMD16<Float>.self)
      lanes.replace(with: next, where: next .> lanes)
      index += 16
    }
    var maximum = lanes.max()
    for index in index..<logits.count where logits[index] > maximum { maximum = logits[index] }
    guard maximum > -.infinity, maximum < .infinity, let best = logits.firstIndex(of: maximum) else {
      throw .noUsableLogits(position: position)
    }
    return best
  }
}
