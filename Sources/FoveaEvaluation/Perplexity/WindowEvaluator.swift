public import FoveaCore
public import FoveaModels

/// Some rows of a window's logits as they come.
public struct ScoredBlock {
  /// Which window of the plan.
  public let window: Int
  /// The tokens of the window.
  public let tokens: [Int]
  /// After which of them the logits are.
  public let rows: Range<Int>
  /// Float32 `[rows.count, vocabularySize]`; valid during the call that shows them only.
  public let logits: Tensor
  /// The negative log-likelihoods of the tokens that follow, in nats.
  public let losses: [Double]

  /// The tokens that follow.
  public var targets: ArraySlice<Int> { tokens[rows.lowerBound + 1..<rows.upperBound + 1] }
}

/// Evaluates the windows of a plan, one at a time, each from an empty cache.
///
/// One cache serves all windows. It is used only inside operations of the model's stream, which run one at a time: hence
/// `@unchecked Sendable`.
public final class WindowEvaluator: @unchecked Sendable {
  /// What is evaluated.
  public let plan: EvaluationPlan
  /// The model that predicts.
  public let model: DecoderModel
  private let cache: KeyValueCache

  /// Looks at a part of a window.
  public typealias Observer = (ScoredBlock) throws -> Void

  /// Prepares to evaluate `plan`.
  ///
  /// - Parameter cache: an empty one of the model; nil makes the model's own. Another method's cache comes in here.
  public init(model: DecoderModel, plan: EvaluationPlan, cache: KeyValueCache? = nil) {
    self.plan = plan
    self.model = model
    self.cache = cache ?? model.makeCache()
  }

  /// The negative log-likelihoods, in nats, of a window's scored tokens.
  ///
  /// - Parameter observe: is shown the logits, block by block, inside the model's operation.
  /// - Throws: ``ModelError`` if a token is not in the vocabulary; what `observe` throws.
  public func losses(ofWindow index: Int, observe: Observer? = nil) throws -> [Double] {
    let (tokens, firstScored) = plan.tokens(of: plan.windows[index])
    return try model.stream.run {
      cache.trim(to: 0)
      var result: [Double] = []
      result.reserveCapacity(tokens.count - firstScored)
      try model.evaluate(Array(tokens.dropLast()), cache: cache, logitsFrom: firstScored - 1) { rows, logits in
        let targets = tokens[rows.lowerBound + 1..<rows.upperBound + 1]
        let losses = model.negativeLogLikelihoods(logits: logits, targets: targets)
        try observe?(ScoredBlock(window: index, tokens: tokens, rows: rows, logits: logits, losses: losses))
        result += losses
      }
      return result
    }
  }
}
