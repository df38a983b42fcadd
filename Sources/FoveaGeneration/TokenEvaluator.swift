package import FoveaCore
package import FoveaModels

/// What generation needs of a model; tests stand in for it.
package protocol TokenEvaluator: Sendable {
  var vocabularySize: Int { get }
  var contextLength: Int { get }
  var beginningOfTextToken: Int? { get }
  var endOfTextTokens: [Int] { get }
  /// Where evaluation must run.
  var stream: ComputeStream { get }

  /// Begins an empty text with a cache of its own.
  func makeEvaluation(_ policy: CachePolicy) throws -> any TokenEvaluation
  /// Goes on with what ``TokenEvaluation/save(to:)`` wrote.
  func loadEvaluation(from path: String) throws -> any TokenEvaluation
}

/// A text that a model has read so far.
package protocol TokenEvaluation: AnyObject {
  /// What is kept of what was read.
  var policy: CachePolicy { get }
  /// The most tokens that can be read; nil: there is no limit.
  var lengthLimit: Int? { get }
  /// How many tokens `text` has in common with what was read, from the first on.
  func sharedLength(with text: [Int]) -> Int
  /// Forgets what was read from `length` on, or everything where that is all that can be done; returns what is left. Must
  /// run on the evaluator's stream.
  func trim(to length: Int) -> Int
  /// Reads `tokens` after those before; returns `[1, vocabularySize]` logits of what follows, or an empty tensor if they
  /// are not wanted. Must run on the evaluator's stream.
  func evaluate(_ tokens: [Int], wantsLogits: Bool) throws -> Tensor
  /// Writes what was read, as far as it is kept. Must run on the evaluator's stream.
  func save(to path: String) throws
}

extension DecoderModel: TokenEvaluator {
  package var vocabularySize: Int { configuration.vocabularySize }
  package var contextLength: Int { configuration.contextLength }
  package var beginningOfTextToken: Int? { configuration.beginningOfTextToken }
  package var endOfTextTokens: [Int] { configuration.endOfTextTokens }

  package func makeEvaluation(_ policy: CachePolicy) throws -> any TokenEvaluation {
    CachedEvaluation(model: self, cache: try makeCache(policy))
  }

  package func loadEvaluation(from path: String) throws -> any TokenEvaluation {
    CachedEvaluation(model: self, cache: try loadCache(from: path))
  }
}

/// A model with the cache of one text.
private final class CachedEvaluation: TokenEvaluation {
  let model: DecoderModel
  let cache: KeyValueCache

  init(model: DecoderModel, cache: KeyValueCache) {
    self.model = model
    self.cache = cache
  }

  var policy: CachePolicy { cache.policy }

  var lengthLimit: Int? { cache.lengthLimit }

  func sharedLength(with text: [Int]) -> Int { cache.sharedLength(with: text) }

  func trim(to length: Int) -> Int { cache.trim(to: length) }

  func save(to path: String) throws { try model.saveCache(cache, to: path) }

  func evaluate(_ tokens: [Int], wantsLogits: Bool) throws -> Tensor {
    try model.evaluate(tokens, cache: cache, logits: wantsLogits ? .last : .none)
  }
}
