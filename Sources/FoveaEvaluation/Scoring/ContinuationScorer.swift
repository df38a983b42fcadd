internal import FoveaCore
public import FoveaModels

/// Tokens to score after others.
public struct ContinuationRequest: Sendable, Equatable {
  /// What is given; at least one token unless the continuation is empty.
  public var context: [Int]
  /// What is scored.
  public var continuation: [Int]

  /// Scores `continuation` after `context`.
  public init(context: [Int], continuation: [Int]) {
    self.context = context
    self.continuation = continuation
  }
}

/// The likelihood of a continuation.
public struct ContinuationScore: Sendable, Equatable {
  /// The log-probability of each token, in nats.
  public var logProbabilities: [Double]
  /// Whether each token is the likeliest at its place, so that greedy generation would give them.
  public var isGreedy: Bool

  /// The log-probability of all tokens together, in nats.
  public var sum: Double { logProbabilities.reduce(0, +) }
}

/// Scores continuations, with what they share evaluated once.
///
/// Requests are taken in the order of their tokens, so that those with a common beginning follow each other, and the cache
/// is cut back to what the next one shares. Results are the same bits as if each were evaluated alone.
///
/// One cache serves all. It is used only inside operations of the model's stream, which run one at a time: hence
/// `@unchecked Sendable`.
public final class ContinuationScorer: @unchecked Sendable {
  /// The model that predicts.
  public let model: DecoderModel
  /// The most tokens that are evaluated together; a longer context loses its beginning, as in lm-eval.
  public let contextLength: Int
  private let cache: KeyValueCache
  private var cachedTokens: [Int] = []
  /// Tokens that went through the model.
  public private(set) var evaluatedTokenCount = 0
  /// Tokens that another request had brought there already.
  public private(set) var reusedTokenCount = 0

  /// - Parameter contextLength: nil takes the model's limit.
  public init(model: DecoderModel, contextLength: Int? = nil) {
    self.model = model
    self.contextLength = min(contextLength ?? .max, model.configuration.contextLength)
    cache = model.makeCache()
  }

  /// The scores of `requests`, in their order.
  ///
  /// - Parameter progress: is told how many are done.
  /// - Throws: ``EvaluationError`` if a continuation is longer than the context or follows nothing; ``ModelError`` if a
  ///   token is not in the vocabulary; what `progress` throws.
  public func scores(
    _ requests: [ContinuationRequest], progress: ((Int) throws -> Void)? = nil
  ) throws -> [ContinuationScore] {
    let inputs = try requests.map { try input($0) }
    let order = requests.indices.filter { !requests[$0].continuation.isEmpty }
      .sorted { inputs[$0].precedes(inputs[$1]) }
    var results = [ContinuationScore](
      repeating: ContinuationScore(logProbabilities: [], isGreedy: true), count: requests.count)
    try model.stream.run {
      var place = 0
      while place < order.count {
        // Choices of one token each go through the model as one: only what is asked of the logits differs.
        let input = inputs[order[place]]
        let group = order[place...].prefix { inputs[$0] == input }
        let scores = try scores(input, group.map { requests[$0].continuation })
        for (index, score) in zip(group, scores) { results[index] = score }
        place += group.count
        try progress?(place)
      }
    }
    return results
  }

  private func input(_ request: ContinuationRequest) throws(EvaluationError) -> ScoredInput {
    let count = request.continuation.count
    guard count > 0 else { return ScoredInput(tokens: [], firstRow: 0) }
    guard !request.context.isEmpty else {
      throw EvaluationError(.invalidOption, "a continuation needs at least one token before it")
    }
    guard count <= contextLength else {
      throw EvaluationError(
        .invalidOption, "a continuation of \(count) tokens is longer than the context of \(contextLength)")
    }
    try model.checkVocabulary(request.continuation)
    let tokens = Array((request.context + request.continuation).dropLast().suffix(contextLength))
    return ScoredInput(tokens: tokens, firstRow: tokens.count - count)
  }

  /// The scores of continuations that differ in their last token at most.
  private func scores(_ input: ScoredInput, _ continuations: [[Int]]) throws -> [ContinuationScore] {
    // The rows from `firstRow` on are needed anew, whatever the cache holds.
    let shared = min(input.firstRow, commonPrefixLength(cachedTokens, input.tokens))
    cache.trim(to: shared)
    // Until all went well the cache counts as holding no more than this.
    cachedTokens.removeSubrange(shared...)
    var results = continuations.map { _ in ContinuationScore(logProbabilities: [], isGreedy: true) }
    let rest = Array(input.tokens[shared...])
    try model.evaluate(rest, cache: cache, logitsFrom: input.firstRow - shared) { rows, logits in
      let first = rows.lowerBound + shared - input.firstRow
      let likeliest = model.likeliestTokens(logits: logits)
      for (index, continuation) in continuations.enumerated() {
        let targets = continuation[first..<first + rows.count]
        let losses = model.negativeLogLikelihoods(logits: logits, targets: targets)
        results[index].logProbabilities += losses.map { -$0 }
        if likeliest != Array(targets) { results[index].isGreedy = false }
      }
    }
    cachedTokens = input.tokens
    evaluatedTokenCount += rest.count
    reusedTokenCount += shared + (continuations.count - 1) * input.tokens.count
    return results
  }
}

/// Tokens that go through the model, and after which of them the first of the continuation is predicted.
private struct ScoredInput: Equatable {
  let tokens: [Int]
  let firstRow: Int

  func precedes(_ other: ScoredInput) -> Bool {
    tokens == other.tokens ? firstRow < other.firstRow : tokens.lexicographicallyPrecedes(other.tokens)
  }
}

/// How many tokens two texts have in common at their beginning.
private func commonPrefixLength(_ first: [Int], _ second: [Int]) -> Int {
  let limit = min(first.count, second.count)
  return (0..<limit).first { first[$0] != second[$0] } ?? limit
}
