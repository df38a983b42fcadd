/// What happens while a text is generated, in the order of the cases.
public enum GenerationEvent: Sendable, Equatable {
  /// The prompt was accepted and encoded; comes once, first.
  case started(EncodedPrompt)
  /// A chunk of the prompt was evaluated; comes once a chunk.
  case promptProgress(evaluatedTokenCount: Int, tokenCount: Int)
  /// A token was generated, or text that was held back is certain at the end.
  case piece(TextPiece)
  /// The text is complete; comes once, last.
  case finished(GenerationSummary)
}

/// The prompt as the model sees it.
public struct EncodedPrompt: Sendable, Equatable {
  /// The token ids, with those that the tokenizer added.
  public let tokens: [Int]
  /// What the tokens spell; empty without a tokenizer.
  public let text: String

  package init(tokens: [Int], text: String) {
    self.tokens = tokens
    self.text = text
  }
}

/// A token that was generated.
public struct GeneratedToken: Sendable, Equatable {
  /// The token's id.
  public let id: Int
  /// The natural logarithm of its probability under the model, before penalties, temperature and cuts.
  public let logProbability: Double
}

/// A step of the text.
public struct TextPiece: Sendable, Equatable {
  /// The text that became certain: never a part of a character or of a stop string, and empty while one may be
  /// unfinished.
  public let text: String
  /// The token that was generated; nil in a last piece that only releases text held back.
  public let token: GeneratedToken?

  package init(text: String, token: GeneratedToken?) {
    self.text = text
    self.token = token
  }
}

/// Why a text ended.
public enum FinishReason: String, Sendable, Equatable {
  /// The model generated an end-of-text token.
  case endOfText = "end_of_text"
  /// A stop string came.
  case stopString = "stop_string"
  /// The most tokens, or the end of the model's context, were reached.
  case length
  /// The caller cancelled.
  case cancelled
}

/// What was generated, and how long it took.
public struct GenerationSummary: Sendable, Equatable {
  /// Why the text ended.
  public let finishReason: FinishReason
  /// The stop string that came.
  public let stopString: String?
  /// How many tokens the prompt has.
  public let promptTokenCount: Int
  /// How many of them were evaluated; the others were known from a memory.
  public let evaluatedPromptTokenCount: Int
  /// How many tokens were generated, with an end-of-text token and the tokens of a stop string.
  public let generatedTokenCount: Int
  /// The seed that gives this text again.
  public let seed: UInt64
  /// How long it took.
  public let timings: GenerationTimings
}

/// Where the time of a generation went, measured by a clock that never goes back.
public struct GenerationTimings: Sendable, Equatable {
  /// From the first work on the prompt until its last token was evaluated.
  public var prompt: Duration = .zero
  /// From the same moment until the first token was chosen; nil if none was.
  public var firstToken: Duration?
  /// From the first token until the last.
  public var generation: Duration = .zero
}

extension GenerationSummary {
  /// Prompt tokens evaluated in a second; nil where nothing was evaluated.
  public var promptTokensPerSecond: Double? {
    timings.firstToken == nil ? nil : rate(evaluatedPromptTokenCount, in: timings.prompt)
  }

  /// Tokens generated in a second after the first, which the prompt's evaluation gives; nil for fewer than two.
  public var generatedTokensPerSecond: Double? { rate(generatedTokenCount - 1, in: timings.generation) }

  private func rate(_ count: Int, in duration: Duration) -> Double? {
    count > 0 && duration > .zero ? Double(count) / duration.seconds : nil
  }
}

extension Duration {
  /// The duration in seconds.
  package var seconds: Double { self / .seconds(1) }
}
