internal import FoveaCore
public import FoveaModels

/// Compares a model's predictions with those of a base: another model, precision or quantisation.
///
/// Blocks must come in the order of the plan, from one run.
public final class ModelComparison {
  /// Where the base's predictions come from.
  public enum Base {
    /// A file.
    case saved(SavedLogits)
    /// A model on the same stream, evaluated beside the other, block by block.
    case model(DecoderModel)
  }

  private let base: Base
  private let cache: KeyValueCache?
  private var window: Int?
  /// How many of the window's tokens the base has evaluated.
  private var evaluatedCount = 0
  private let plan: EvaluationPlan
  private var values = ComparisonValues()

  /// Prepares to compare what `evaluator` computes.
  ///
  /// - Throws: ``EvaluationError`` if the base is of another text, or of another vocabulary; ``ModelError`` if it cannot
  ///   have the plan's cache.
  public init(_ base: Base, evaluator: WindowEvaluator) throws {
    self.base = base
    plan = evaluator.plan
    switch base {
    case .saved(let saved):
      try saved.checkMatches(evaluator)
      cache = nil
    case .model(let model):
      let (size, wanted) = (model.configuration.vocabularySize, evaluator.model.configuration.vocabularySize)
      guard size == wanted else {
        throw EvaluationError(.invalidOption, "the base has \(size) token ids, the model \(wanted)")
      }
      guard model.configuration.contextLength >= evaluator.plan.contextLength else {
        throw EvaluationError(
          .invalidOption,
          "the context length is \(evaluator.plan.contextLength), the base has \(model.configuration.contextLength)")
      }
      cache = try model.makeCache(plan.cachePolicy ?? .contiguous)
    }
  }

  /// Compares the rows of a block.
  ///
  /// - Throws: what the base's evaluation throws.
  public func add(_ block: ScoredBlock, model: DecoderModel) throws {
    let logits: Tensor
    let losses: [Double]
    switch base {
    case .saved(let saved):
      let first = values.losses.count
      let rows = first..<first + block.rows.count
      logits = saved.logits(rows, on: model.stream)
      losses = Array(saved.losses[rows])
    case .model(let base):
      logits = try evaluate(base, block)
      losses = base.negativeLogLikelihoods(logits: logits, targets: block.targets)
    }
    let divergences = model.divergences(base: logits, logits: block.logits)
    for (row, value) in divergences.enumerated() {
      var baseToken = value.baseToken
      // Codes may make two tokens equal; the file knows which one it was.
      if case .saved(let saved) = base { baseToken = saved.likeliest[values.losses.count] }
      values.add(
        divergence: value.divergence, agrees: baseToken == value.token, baseLoss: losses[row], loss: block.losses[row])
    }
  }

  /// What was found so far.
  public var figures: ComparisonFigures { ComparisonFigures(values) }

  private func evaluate(_ model: DecoderModel, _ block: ScoredBlock) throws -> Tensor {
    guard let cache else { preconditionFailure("a base that is a model has a cache") }
    if window != block.window {
      if !plan.windows[block.window].continuesPrevious { cache.reset() }
      window = block.window
      evaluatedCount = 0
    }
    _ = try model.evaluate(Array(block.tokens[evaluatedCount..<block.rows.lowerBound]), cache: cache, logits: .none)
    evaluatedCount = block.rows.upperBound
    return try model.evaluate(Array(block.tokens[block.rows]), cache: cache, logits: .all)
  }
}
