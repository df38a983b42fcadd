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
  private var values = ComparisonValues()

  /// Prepares to compare what `evaluator` computes.
  ///
  /// - Throws: ``EvaluationError`` if the base is of another text, or of another vocabulary.
  public init(_ base: Base, evaluator: WindowEvaluator) throws(EvaluationError) {
    self.base = base
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
      cache = model.makeCache()
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
      cache.trim(to: 0)
      window = block.window
    }
    _ = try model.evaluate(Array(block.tokens[cache.length..<block.rows.lowerBound]), cache: cache, logits: .none)
    return try model.evaluate(Array(block.tokens[block.rows]), cache: cache, logits: .all)
  }
}
