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

@Suite struct WindowEvaluatorTests {
  /// −log softmax(logits)[target] in double precision.
  private func loss(_ logits: [Double], target: Int) -> Double {
    let maximum = logits.max() ?? 0
    return log(logits.reduce(0) { $0 + exp($1 - maximum) }) + maximum - logits[target]
  }

  @Test(arguments: [PerplexityMethod.chunked, .strided, .rolling])
  func lossesAreThoseOfPlainEvaluation(method: PerplexityMethod) throws {
    let evaluator = try TinyEvaluation.evaluator(method)
    for (index, window) in evaluator.plan.windows.enumerated() {
      let (tokens, firstScored) = evaluator.plan.tokens(of: window)
      let model = evaluator.model
      let logits = try model.evaluate(tokens, cache: model.makeCache(), logits: .all).doubles()
      let size = model.configuration.vocabularySize
      let expected = (firstScored..<tokens.count).map { place in
        loss(Array(logits[(place - 1) * size..<place * size]), target: tokens[place])
      }
      let mismatch = firstMismatch(try evaluator.losses(ofWindows: [index])[0], expected, absolute: 1e-5)
      #expect(mismatch == nil, "window \(index): \(mismatch ?? "")")
    }
  }

  @Test("windows evaluated together give the same bits as alone", arguments: [1, 2], Precision.allCases)
  func together(threadCount: Int, precision: Precision) throws {
    var checkpoint = TinyCheckpoint()
    checkpoint.elementType = .bfloat16
    // More rows than a block of logits holds, and a text without any scored row in one of the calls.
    checkpoint.vocabularySize = 2000
    let model = try TinyEvaluation.model(checkpoint, precision: precision, threadCount: threadCount)
    for method in [PerplexityMethod.chunked, .strided, .rolling] {
      let text = TinyEvaluation.text([301, 1, 40, 17])
      let evaluator = try TinyEvaluation.evaluator(method, text: text, model: model)
      let indices = Array(evaluator.plan.windows.indices)
      let alone = try indices.map { try evaluator.losses(ofWindows: [$0])[0] }
      #expect(try evaluator.losses(ofWindows: indices) == alone, "\(method)")
      #expect(alone.map(\.count) == evaluator.plan.windows.map(\.scored.count))
      #expect(try evaluator.losses(ofWindows: [3, 1]) == [alone[3], alone[1]], "\(method)")
    }
  }

  @Test func theObserverSeesTheLogitsOfEveryScoredTokenInOrder() throws {
    let evaluator = try TinyEvaluation.evaluator(.chunked)
    var seen: [(window: Int, target: Int, loss: Double)] = []
    let losses = try evaluator.losses(ofWindows: [0, 1, 2]) { block in
      let logits = block.logits.doubles()
      let size = evaluator.model.configuration.vocabularySize
      for (row, target) in block.targets.enumerated() {
        let value = loss(Array(logits[row * size..<(row + 1) * size]), target: target)
        #expect(abs(value - block.losses[row]) <= 1e-5)
        seen.append((block.window, target, block.losses[row]))
      }
    }
    let expected = evaluator.plan.windows[..<3].enumerated().flatMap { index, window in
      evaluator.plan.text.documents[0][window.scored].map { (window: index, target: $0) }
    }
    #expect(seen.map(\.window) == expected.map(\.window) && seen.map(\.target) == expected.map(\.target))
    #expect(seen.map(\.loss) == losses.flatMap { $0 })
  }

  @Test func shortWindowsAreEvaluatedTogetherAndLongOnesAlone() throws {
    var checkpoint = TinyCheckpoint()
    checkpoint.contextLength = 4096
    let model = try TinyEvaluation.model(checkpoint)
    let text = TinyEvaluation.text([9000])
    for (length, groupSize) in [(16, 34), (256, 2), (257, 2), (258, 1), (4096, 1)] {
      let evaluator = try TinyEvaluation.evaluator(.chunked, text: text, contextLength: length, model: model)
      #expect(evaluator.groupSize(of: evaluator.plan.windows.indices.map { $0 }[...]) == groupSize, "\(length)")
    }
  }
  static let policies: [CachePolicy] = [
    .streaming(maxSize: 16, sinkTokens: 4), .streaming(maxSize: 16, sinkTokens: 0),
    .rotating(maxSize: 16, sinkTokens: 4),
  ]

  @Test("streaming gives the bits of evaluation token by token", arguments: policies, Precision.allCases)
  func streaming(policy: CachePolicy, precision: Precision) throws {
    var checkpoint = TinyCheckpoint()
    checkpoint.elementType = .bfloat16
    let model = try TinyEvaluation.model(checkpoint, precision: precision)
    let text = TinyEvaluation.text([1400, 600])
    let evaluator = try TinyEvaluation.evaluator(.streaming, text: text, cache: policy, model: model)
    var expected: [[Double]] = []
    for document in text.documents {
      let cache = try model.makeCache(policy)
      var previous = 1
      for (index, token) in document.enumerated() {
        let logits = try model.evaluate([previous], cache: cache, logits: .last)
        if index % 512 == 0 { expected.append([]) }
        expected[expected.count - 1] += model.negativeLogLikelihoods(logits: logits, targets: [token])
        previous = token
      }
    }
    #expect(try evaluator.plan.windows.indices.map { try evaluator.losses(ofWindows: [$0])[0] } == expected)
    // What comes before a window is evaluated again where another one came last.
    for index in [2, 1, 1, 4, 0, 3] {
      #expect(try evaluator.losses(ofWindows: [index]) == [expected[index]], "window \(index)")
    }
  }

  @Test(arguments: [
    (CachePolicy.streaming(maxSize: 65, sinkTokens: 4), "65"), (.rotating(maxSize: 4, sinkTokens: 4), "4"),
  ])
  func aCacheThatTheModelCannotHaveIsRefused(policy: CachePolicy, size: String) {
    let error = #expect(throws: (any Error).self) { try TinyEvaluation.evaluator(.streaming, cache: policy) }
    #expect(error.map { "\($0)".contains(size) } == true, "\(String(describing: error))")
  }
}
