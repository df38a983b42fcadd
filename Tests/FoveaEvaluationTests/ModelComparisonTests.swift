import FoveaCore
import FoveaEvaluation
import FoveaModels
import FoveaTestSupport
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

@Suite struct ModelComparisonTests {
  private func figures(_ evaluator: WindowEvaluator, _ base: ModelComparison.Base) throws -> ComparisonFigures {
    let comparison = try ModelComparison(base, evaluator: evaluator)
    var run = try EvaluationRun(evaluator, modelFingerprint: "")
    try run.run(observe: { try comparison.add($0, model: evaluator.model) })
    return comparison.figures
  }

  private func base() throws -> DecoderModel {
    var checkpoint = TinyCheckpoint()
    checkpoint.seed = 2
    return try TinyEvaluation.model(checkpoint)
  }

  /// Log-probabilities after each of `tokens`, in double precision.
  private func logProbabilities(_ model: DecoderModel, _ tokens: [Int]) throws -> [[Double]] {
    let logits = try model.evaluate(tokens, cache: model.makeCache(), logits: .all).doubles()
    let size = model.configuration.vocabularySize
    return tokens.indices.map { row in
      let values = logits[row * size..<(row + 1) * size]
      let maximum = values.max() ?? 0
      let sum = log(values.reduce(0) { $0 + exp($1 - maximum) }) + maximum
      return values.map { $0 - sum }
    }
  }

  @Test(arguments: [PerplexityMethod.chunked, .strided, .rolling])
  func divergenceAndAgreementAreThoseOfTheDefinition(method: PerplexityMethod) throws {
    let evaluator = try TinyEvaluation.evaluator(method)
    let base = try base()
    var (divergences, agreementCount, differences) = ([Double](), 0, [Double]())
    for window in evaluator.plan.windows {
      let (tokens, firstScored) = evaluator.plan.tokens(of: window)
      let (p, q) = (try logProbabilities(base, tokens), try logProbabilities(evaluator.model, tokens))
      for place in firstScored..<tokens.count {
        let (p, q) = (p[place - 1], q[place - 1])
        divergences.append(zip(p, q).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) })
        differences.append(p[tokens[place]] - q[tokens[place]])
        let likeliest = [p, q].map { row in row.indices.max { row[$0] < row[$1] } }
        if likeliest[0] == likeliest[1] { agreementCount += 1 }
      }
    }
    let found = try figures(evaluator, .model(base))
    let count = Double(divergences.count)
    let mean = divergences.reduce(0, +) / count
    #expect(found.tokenCount == divergences.count)
    #expect(abs(found.divergence.value - mean) <= 1e-6 && mean > 0.01)
    let sorted = divergences.sorted()
    #expect(
      abs(found.divergenceQuantiles[0].value - (sorted[sorted.count / 2] + sorted[(sorted.count - 1) / 2]) / 2) <= 1e-6)
    #expect(abs((found.divergenceQuantiles.last?.value ?? .nan) - sorted[sorted.count - 1]) <= 1e-6)
    #expect(found.agreement.value == Double(agreementCount) / count)
    let difference = differences.reduce(0, +) / count
    #expect(abs(found.lossDifference.value - difference) <= 1e-6)
    let variance = differences.reduce(0) { $0 + ($1 - difference) * ($1 - difference) } / count
    #expect(abs((found.lossDifference.standardError ?? .nan) - (variance / (count - 1)).squareRoot()) <= 1e-6)
  }

  @Test func aModelDoesNotDifferFromItself() throws {
    let evaluator = try TinyEvaluation.evaluator(.chunked)
    let found = try figures(evaluator, .model(evaluator.model))
    #expect(abs(found.divergence.value) <= 1e-7 && found.agreement.value == 1)
    #expect(found.lossDifference.value == 0 && found.perplexityDifference.value == 0)
    #expect(found.perplexity == found.basePerplexity)
  }

  @Test func savedPredictionsStandForTheirModel() throws {
    let base = try base()
    let evaluator = try TinyEvaluation.evaluator(.rolling)
    let direct = try figures(evaluator, .model(base))
    try withTemporaryFolder { folder in
      let path = folder + "/base.safetensors"
      let saving = try TinyEvaluation.evaluator(.rolling, model: base)
      let writer = try SavedLogitsWriter(path, evaluator: saving, modelFingerprint: "base")
      var run = try EvaluationRun(saving, modelFingerprint: "base")
      try run.run(observe: { try writer.add($0, model: base) })
      #expect(try names(inFolder: folder).allSatisfy { $0 != "base.safetensors" })
      try writer.finish()
      #expect(try names(inFolder: folder) == ["base.safetensors"])
      let saved = try SavedLogits(path)
      let found = try figures(evaluator, .saved(saved))
      #expect(abs(found.divergence.value - direct.divergence.value) <= 1e-6)
      #expect(found.agreement == direct.agreement && found.basePerplexity == direct.basePerplexity)
      #expect(found.lossDifference == direct.lossDifference)

      let other = try TinyEvaluation.evaluator(.rolling, contextLength: 17)
      let error = #expect(throws: EvaluationError.self) { try ModelComparison(.saved(saved), evaluator: other) }
      #expect(error?.description.contains("base.safetensors: is of another evaluation: its text is") == true)
    }
  }
  @Test("streaming compares caches of the same kind", arguments: [16, 64])
  func streaming(size: Int) throws {
    let base = try base()
    let text = TinyEvaluation.text([700, 600])
    let policy = CachePolicy.streaming(maxSize: size, sinkTokens: 4)
    let evaluator = try TinyEvaluation.evaluator(.streaming, text: text, cache: policy)
    let other = try TinyEvaluation.evaluator(.streaming, text: text, cache: policy, model: base)
    var run = try EvaluationRun(other, modelFingerprint: "")
    try run.run()
    let found = try figures(evaluator, .model(base))
    #expect(found.tokenCount == 1300 && found.divergence.value > 0.01)
    #expect(abs(found.basePerplexity.value - run.state.figures.perplexity) <= 1e-9 * found.basePerplexity.value)
  }
}
