package import FoveaCore
internal import FoveaModels

/// What generation needs of a model; tests stand in for it.
package protocol TokenEvaluator: Sendable {
  var vocabularySize: Int { get }
  var contextLength: Int { get }
  var beginningOfTextToken: Int? { get }
  var endOfTextTokens: [Int] { get }
  /// Where evaluation must run.
  var stream: ComputeStream { get }

  /// Begins an empty text with a cache of its own.
  func makeEvaluation() -> any TokenEvaluation
}

/// A text that a model has read so far.
package protocol TokenEvaluation: AnyObject {
  /// What was read.
  var tokens: [Int] { get }
  /// Forgets what was read from `length` on. Must run on the evaluator's stream.
  func trim(to length: Int)
  /// Reads `tokens` after those before; returns `[1, vocabularySize]` logits of what follows, or an empty tensor if they
  /// are not wanted. Must run on the evaluator's stream.
  func evaluate(_ tokens: [Int], wantsLogits: Bool) throws -> Tensor
}

extension DecoderModel: TokenEvaluator {
  package var vocabularySize: Int { configuration.vocabularySize }
  package var contextLength: Int { configuration.contextLength }
  package var beginningOfTextToken: Int? { configuration.beginningOfTextToken }
  package var endOfTextTokens: [Int] { configuration.endOfTextTokens }

  package func makeEvaluation() -> any TokenEvaluation { CachedEvaluation(model: self) }
}

/// A model with the cache of one text.
private final class CachedEvaluation: TokenEvaluation {
  let model: DecoderModel
  let cache: KeyValueCache

  init(model: DecoderModel) {
    self.model = model
    cache = model.makeCache()
  }

  var tokens: [Int] { cache.tokens }

  func trim(to length: Int) { cache.trim(to: length) }

  func evaluate(_ tokens: [Int], wantsLogits: Bool) throws -> Tensor {
    try model.evaluate(tokens, cache: cache, logits: wantsLogits ? .last : .none)
  }
}
