import FoveaCore
import FoveaEvaluation
import FoveaModels
import FoveaTestSupport

/// A tiny random model and a text of its tokens.
enum TinyEvaluation {
  /// Loads the model of `checkpoint`.
  static func model(
    _ checkpoint: TinyCheckpoint = TinyCheckpoint(), precision: Precision = .float32, threadCount: Int = 2
  ) throws -> DecoderModel {
    // The weights stay mapped after their folder is gone.
    try withTemporaryFolder { folder in
      try checkpoint.write(to: folder)
      let model = try DecoderModel.load(
        folder: folder, precision: precision, stream: ComputeStream(threadCount: threadCount))
      // Saved caches name it, and it is read from the files.
      _ = try model.fingerprint()
      return model
    }
  }

  /// `count` tokens from 3 to 31.
  static func tokens(_ count: Int, seed: UInt64 = 5) -> [Int] {
    var random = RandomValues(seed: seed)
    return (0..<count).map { _ in Int.random(in: 3..<32, using: &random) }
  }

  static func text(_ counts: [Int] = [301], size: TextSize? = nil) -> EvaluationText {
    EvaluationText(
      documents: counts.enumerated().map { tokens($0.element, seed: UInt64($0.offset)) }, size: size,
      beginningOfTextToken: 1)
  }

  static func evaluator(
    _ method: PerplexityMethod, text: EvaluationText = text(), contextLength: Int? = 16, stride: Int? = nil,
    cache: CachePolicy? = nil, model: DecoderModel? = nil
  ) throws -> WindowEvaluator {
    let model = try model ?? Self.model()
    return try WindowEvaluator(
      model: model,
      plan: try EvaluationPlan(
        method, text: text, contextLength: method == .streaming ? nil : contextLength, stride: stride,
        cachePolicy: cache,
        modelContextLength: model.configuration.contextLength))
  }
}
