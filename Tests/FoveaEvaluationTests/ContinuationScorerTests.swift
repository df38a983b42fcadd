import FoveaCore
import FoveaEvaluation
import FoveaModels
import FoveaTestSupport
import Testing

@Suite struct ContinuationScorerTests {
  private var requests: [ContinuationRequest] {
    let shared = TinyEvaluation.tokens(20)
    return [
      ContinuationRequest(context: shared, continuation: [5]), ContinuationRequest(context: [1], continuation: shared),
      ContinuationRequest(context: Array(shared[..<12]), continuation: [9, 8, 7]),
      ContinuationRequest(context: shared, continuation: [6]),
      ContinuationRequest(context: shared, continuation: [5, 6]),
      ContinuationRequest(context: [3], continuation: []), ContinuationRequest(context: [3], continuation: [4]),
      ContinuationRequest(context: shared, continuation: [5]),
    ]
  }

  @Test func scoresDoNotDependOnWhatIsScoredBesides() throws {
    let model = try TinyEvaluation.model()
    let together = ContinuationScorer(model: model)
    let scores = try together.scores(requests)
    #expect(together.reusedTokenCount > 60)
    for (request, score) in zip(requests, scores) {
      let alone = try ContinuationScorer(model: model).scores([request])
      #expect(alone == [score], "\(request)")
      let tokens = request.context + request.continuation
      let losses = try model.negativeLogLikelihoods(of: tokens).suffix(request.continuation.count)
      #expect(score.logProbabilities == losses.map { -$0 })
    }
    #expect(scores[5].logProbabilities.isEmpty && scores[5].isGreedy)
  }

  @Test func aGreedyContinuationIsToldFromOthers() throws {
    let model = try TinyEvaluation.model()
    var tokens = TinyEvaluation.tokens(6)
    for _ in 0..<3 {
      let logits = try model.evaluate(tokens, cache: model.makeCache()).doubles()
      tokens.append(logits.indices.max { logits[$0] < logits[$1] } ?? 0)
    }
    let (context, greedy) = (Array(tokens[..<6]), Array(tokens[6...]))
    let other = greedy.dropLast() + [(greedy[2] + 1) % 32]
    let scores = try ContinuationScorer(model: model).scores([
      ContinuationRequest(context: context, continuation: greedy),
      ContinuationRequest(context: context, continuation: Array(other)),
    ])
    #expect(scores.map(\.isGreedy) == [true, false])
  }

  @Test func aLongContextLosesItsBeginning() throws {
    let model = try TinyEvaluation.model()
    let tokens = TinyEvaluation.tokens(70)
    let long = ContinuationRequest(context: Array(tokens[..<68]), continuation: Array(tokens[68...]))
    // 64 positions hold all but the last token.
    let short = ContinuationRequest(context: Array(tokens[5..<68]), continuation: long.continuation)
    let scores = try ContinuationScorer(model: model).scores([long, short])
    #expect(scores[0] == scores[1])
    #expect(throws: EvaluationError.self) {
      try ContinuationScorer(model: model).scores([ContinuationRequest(context: [1], continuation: tokens)])
    }
    #expect(throws: EvaluationError.self) {
      try ContinuationScorer(model: model).scores([ContinuationRequest(context: [], continuation: [4])])
    }
  }
}
