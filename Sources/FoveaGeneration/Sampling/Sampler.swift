public import FoveaCore

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
  private let blocks: LogitBlocks
  private var penalties: Penalties
  private var lottery: Lottery
  private var position: Int

  /// Prepares for a text that begins with `prompt`, whose tokens the repetition penalty sees.
  ///
  /// - Parameter stream: whose threads share the work; nil: the calling thread does it alone. The choice is the same.
  /// - Throws: ``GenerationError`` for an option out of range, and for a biased or prompt token out of the vocabulary.
  public init(
    _ options: SamplingOptions, vocabularySize: Int, prompt: [Int] = [], stream: ComputeStream? = nil
  ) throws(GenerationError) {
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
    blocks = LogitBlocks(stream: stream)
    lottery = Lottery(options, random: RandomGenerator(seed: seed), blocks: blocks)
    penalties = Penalties(options, vocabularySize: vocabularySize, prompt: prompt)
    position = prompt.count
  }

  /// Chooses the token that follows, and remembers it for the penalties.
  ///
  /// - Parameter logits: `[vocabularySize]`, left as they are.
  /// - Throws: ``GenerationError/noUsableLogits(position:)`` where a logit is NaN or +infinity, or all are −infinity.
  public mutating func choose(_ logits: UnsafeBufferPointer<Float>) throws(GenerationError) -> Choice {
    precondition(logits.count == vocabularySize, "\(logits.count) logits for \(vocabularySize) tokens")
    let raw = blocks.summary(of: logits)
    // The sum is NaN where a logit is.
    guard raw.logSum.isFinite else { throw .noUsableLogits(position: position) }
    let token = try penalties.withAdjusted(logits) { adjusted throws(GenerationError) -> Int in
      let best = options.changesLogits ? blocks.likeliest(of: adjusted) : raw.likeliest
      guard best.logit.isFinite else { throw .noUsableLogits(position: position) }
      return options.temperature == 0 ? best.token : lottery.draw(from: adjusted, maximum: best.logit)
    }
    penalties.append(token)
    position += 1
    return Choice(token: token, logProbability: Double(logits[token]) - raw.logSum)
  }

  /// Chooses the token that follows from contiguous float32 logits of `vocabularySize` elements, where they lie.
  package mutating func choose(_ logits: Tensor) throws(GenerationError) -> Choice {
    precondition(
      logits.elementType == .float32 && logits.isContiguous && logits.elementCount == vocabularySize,
      "logits of type \(logits.elementType) and shape \(logits.shape) for \(vocabularySize) tokens")
    // The tensor, and so its memory, lives until the end of the call.
    let start = logits.baseAddress.assumingMemoryBound(to: Float.self)
    let choice = try choose(UnsafeBufferPointer(start: start, count: logits.elementCount))
    return withExtendedLifetime(logits) { choice }
  }

  /// Chooses the token that follows.
  public mutating func choose(_ logits: [Float]) throws(GenerationError) -> Choice {
    let result = logits.withUnsafeBufferPointer { buffer in
      Result { () throws(GenerationError) -> Choice in try choose(buffer) }
    }
    return try result.get()
  }
}
