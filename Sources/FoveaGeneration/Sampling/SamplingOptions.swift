/// How the next token is chosen from the logits.
///
/// The steps run in the order of Hugging Face's `generate`, whose `generation_config.json` the defaults of a model come
/// from (llama.cpp applies the temperature last, so that its top-p and min-p cut before they see the temperature):
///
/// 1. ``logitBias`` is added.
/// 2. ``repetitionPenalty`` divides the positive and multiplies the negative logits of tokens in the window.
/// 3. ``frequencyPenalty`` and ``presencePenalty`` are subtracted for tokens generated so far.
/// 4. ``temperature`` 0 takes the highest logit; otherwise logits are divided by it.
/// 5. ``topK``, then ``topP``, then ``minP`` cut the unlikely tokens, each with respect to what the step before left.
/// 6. One of the rest is drawn by its probability.
public struct SamplingOptions: Sendable, Equatable {
  /// 0 chooses the likeliest token, the lowest id among equals; 1 draws from the model's own distribution.
  public var temperature = 0.0
  /// How many of the likeliest tokens are kept, lower ids first among equals; 0 keeps all.
  public var topK = 0
  /// Keeps the fewest tokens, likeliest first, whose probabilities add up to at least this; 1 keeps all.
  public var topP = 1.0
  /// Drops tokens less likely than this times the likeliest; 0 drops none.
  public var minP = 0.0
  /// For every token in the window, a positive logit is divided by this and a negative one multiplied, however often it
  /// occurs (CTRL, arXiv 1909.05858); 1 changes nothing.
  public var repetitionPenalty = 1.0
  /// How many of the latest tokens, prompt and generated, ``repetitionPenalty`` looks at; nil is all, as in Hugging Face.
  public var repetitionWindow: Int?
  /// Subtracted from a token's logit once for every time that it was generated, as in OpenAI's API.
  public var frequencyPenalty = 0.0
  /// Subtracted once from the logit of every token that was generated, as in OpenAI's API.
  public var presencePenalty = 0.0
  /// Added to the logits of these token ids; −infinity forbids a token.
  public var logitBias: [Int: Double] = [:]
  /// Where the random numbers begin; nil takes another seed each time. The same seed gives the same text.
  public var seed: UInt64?

  /// Greedy choice without penalties.
  public init() {}

  /// Greedy choice, or with a temperature.
  public init(temperature: Double, topK: Int = 0, topP: Double = 1, minP: Double = 0, seed: UInt64? = nil) {
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
    self.minP = minP
    self.seed = seed
  }

  /// Checks every value against its range.
  ///
  /// - Throws: ``GenerationError/invalidOption(name:value:expected:)``, named as the property is.
  public func validate() throws(GenerationError) {
    try require("temperature", temperature, temperature >= 0 && temperature.isFinite, "a finite number of at least 0")
    try require("topK", topK, topK >= 0, "at least 0")
    try require("topP", topP, topP > 0 && topP <= 1, "above 0 and at most 1")
    try require("minP", minP, minP >= 0 && minP <= 1, "from 0 to 1")
    try require(
      "repetitionPenalty", repetitionPenalty, repetitionPenalty > 0 && repetitionPenalty.isFinite,
      "a finite number above 0")
    try require("repetitionWindow", repetitionWindow ?? 0, repetitionWindow ?? 0 >= 0, "at least 0")
    try require("frequencyPenalty", frequencyPenalty, frequencyPenalty.isFinite, "a finite number")
    try require("presencePenalty", presencePenalty, presencePenalty.isFinite, "a finite number")
    for (token, bias) in logitBias.sorted(by: { $0.key < $1.key }) {
      try require("logitBias", "\(token):\(bias)", bias < .infinity, "a finite number or -inf for each token")
    }
  }

  /// Whether any step changes logits before the temperature.
  var changesLogits: Bool {
    !logitBias.isEmpty || repetitionPenalty != 1 || frequencyPenalty != 0 || presencePenalty != 0
  }
}

/// Throws ``GenerationError/invalidOption(name:value:expected:)`` unless `isValid`.
func require(
  _ name: String, _ value: some CustomStringConvertible, _ isValid: Bool, _ expected: String
) throws(GenerationError) {
  guard isValid else { throw .invalidOption(name: name, value: value.description, expected: expected) }
}
