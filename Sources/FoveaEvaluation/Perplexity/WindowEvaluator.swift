public import FoveaCore
public import FoveaModels

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

  /// Looks at some of a window's logits: float32 `[targets.count, vocabularySize]`, valid during the call; with the
  /// tokens that follow and their negative log-likelihoods in nats.
  public typealias Observer = (_ logits: Tensor, _ targets: ArraySlice<Int>, _ losses: [Double]) throws -> Void

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
  /// - Parameter observe: is shown the logits, block by block.
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
        try observe?(logits, targets, losses)
        result += losses
      }
      return result
    }
  }
}
