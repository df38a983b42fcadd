/// What a text continues: text, or token ids as they are.
public enum Prompt: Sendable, Equatable {
  /// Text, which the tokenizer encodes with its special tokens, so that most models see their beginning-of-text token.
  case text(String)
  /// Token ids, to which nothing is added.
  case tokens([Int])
}

extension Prompt: ExpressibleByStringInterpolation, ExpressibleByArrayLiteral {
  /// A prompt of text.
  public init(stringLiteral text: String) { self = .text(text) }
  /// A prompt of token ids.
  public init(arrayLiteral tokens: Int...) { self = .tokens(tokens) }
}

/// How a text is generated and when it ends.
public struct GenerationOptions: Sendable {
  /// What ``maximumTokens`` is where neither the caller nor the model's folder says.
  public static let defaultMaximumTokens = 256

  /// No limit. The model's context still ends a text that is kept whole.
  public static let unlimitedTokens = Int.max

  /// How each token is chosen.
  public var sampling = SamplingOptions()
  /// The most tokens to generate. 0 checks the prompt, reads it into a memory if there is one, and generates nothing;
  /// ``unlimitedTokens`` goes on until something else ends the text.
  public var maximumTokens = GenerationOptions.defaultMaximumTokens
  /// The text ends before the first of these; it is never part of the text.
  public var stopStrings: [String] = []
  /// Whether the text goes on after an end-of-text token.
  public var ignoresEndOfText = false
  /// How many prompt tokens are evaluated between two looks at cancellation. Results do not depend on it.
  public var promptChunkLength = 256
  /// Asked after every token and every chunk of the prompt; true ends the text with ``FinishReason/cancelled``.
  ///
  /// For those who want the summary of what was made. Cancelling the task that reads the events, or leaving its loop,
  /// stops the computation just as fast, but nobody is left to read the summary.
  public var isCancelled: (@Sendable () -> Bool)?

  /// Greedy choice, until the model ends the text or ``defaultMaximumTokens``.
  public init() {}

  /// The given sampling, until the model ends the text or `maximumTokens`.
  public init(
    sampling: SamplingOptions, maximumTokens: Int = GenerationOptions.defaultMaximumTokens, stopStrings: [String] = []
  ) {
    self.sampling = sampling
    self.maximumTokens = maximumTokens
    self.stopStrings = stopStrings
  }

  /// Checks every value against its range.
  ///
  /// - Throws: ``GenerationError/invalidOption(name:value:expected:)``, named as the property is.
  public func validate() throws(GenerationError) {
    try sampling.validate()
    try require("maximumTokens", maximumTokens, maximumTokens >= 0, "at least 0")
    try require("promptChunkLength", promptChunkLength, promptChunkLength > 0, "at least 1")
    _ = try StopMatcher(stopStrings: stopStrings)
  }
}
