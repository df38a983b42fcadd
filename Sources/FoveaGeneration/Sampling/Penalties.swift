/// The tokens of a text so far, as the penalties need them, and the logits after penalties.
struct Penalties {
  private let options: SamplingOptions
  private let bias: [(token: Int, value: Float)]
  /// Those that the repetition penalty looks at: the latest, with some before, or each once where it looks at all.
  private var tokens: [Int] = []
  private var isKnown: [Bool]
  /// How often each token was generated; the prompt does not count.
  private var generatedCounts: [Int32]
  /// The tokens with a count above 0.
  private var generatedTokens: [Int] = []
  /// The step in which each token was last penalised, so that one that occurs twice is penalised once.
  private var lastSteps: [Int32]
  private var step: Int32 = 0
  private var adjusted: [Float]

  /// Keeps `vocabularySize` counters; nothing is allocated for a token afterwards.
  init(_ options: SamplingOptions, vocabularySize: Int, prompt: [Int]) {
    self.options = options
    bias = options.logitBias.sorted { $0.key < $1.key }.map { ($0.key, Float($0.value)) }
    let size = options.changesLogits ? vocabularySize : 0
    generatedCounts = [Int32](repeating: 0, count: size)
    lastSteps = [Int32](repeating: 0, count: size)
    adjusted = [Float](repeating: 0, count: size)
    isKnown = [Bool](repeating: false, count: options.repetitionWindow == nil ? size : 0)
    for token in prompt { remember(token) }
  }

  /// Takes a token that was generated.
  mutating func append(_ token: Int) {
    remember(token)
    guard options.frequencyPenalty != 0 || options.presencePenalty != 0 else { return }
    if generatedCounts[token] == 0 { generatedTokens.append(token) }
    generatedCounts[token] += 1
  }

  /// Notes a token for the repetition penalty, in memory that does not grow with the text.
  private mutating func remember(_ token: Int) {
    guard options.repetitionPenalty != 1 else { return }
    if let window = options.repetitionWindow {
      tokens.append(token)
      if tokens.count >= 2 * max(window, 64) { tokens.removeFirst(tokens.count - window) }
    } else if !isKnown[token] {
      isKnown[token] = true
      tokens.append(token)
    }
  }

  /// Calls `body` with the logits after bias and penalties; without any, with `logits` themselves.
  mutating func withAdjusted<Result, Failure: Error>(
    _ logits: UnsafeBufferPointer<Float>,
    _ body: (UnsafeBufferPointer<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    guard options.changesLogits else { return try body(logits) }
    adjusted.withUnsafeMutableBufferPointer { copy in
      // Both have the vocabulary's size.
      _ = copy.update(fromContentsOf: logits)
    }
    for (token, value) in bias { adjusted[token] += value }
    penaliseRepetition()
    for token in generatedTokens {
      let penalty = options.frequencyPenalty * Double(generatedCounts[token]) + options.presencePenalty
      adjusted[token] = Float(Double(adjusted[token]) - penalty)
    }
    // The array cannot be lent out by a closure that throws typed errors, hence the detour over a Result.
    let result = adjusted.withUnsafeBufferPointer { values in
      Swift.Result { () throws(Failure) -> Result in try body(values) }
    }
    return try result.get()
  }

  private mutating func penaliseRepetition() {
    guard options.repetitionPenalty != 1 else { return }
    step += 1
    let penalty = Float(options.repetitionPenalty)
    for token in tokens.suffix(options.repetitionWindow ?? tokens.count) where lastSteps[token] != step {
      lastSteps[token] = step
      adjusted[token] = adjusted[token] > 0 ? adjusted[token] / penalty : adjusted[token] * penalty
    }
  }
}
