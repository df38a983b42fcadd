import FoveaEvaluation
import FoveaTestSupport
import Testing

@Suite struct EvaluationStateTests {
  private func finished(_ evaluator: WindowEvaluator, shard: Shard? = nil, fingerprint: String = "model") throws
    -> EvaluationState
  {
    var run = try EvaluationRun(evaluator, modelFingerprint: fingerprint, shard: shard)
    try run.run()
    return run.state
  }

  @Test func aStateComesBackFromItsFileWithTheSameBits() throws {
    let state = try finished(
      TinyEvaluation.evaluator(.rolling, text: TinyEvaluation.text([50, 9], size: .init("a b"))))
    var extreme = state
    extreme.add(
      WindowResult(
        index: 0, window: try TinyEvaluation.evaluator(.rolling).plan.windows[0],
        losses: [.infinity, .leastNonzeroMagnitude, 0.1]),
      perTokenByteCount: 7)
    try withTemporaryFolder { folder in
      for state in [state, extreme] {
        try state.write(to: folder + "/state")
        #expect(try EvaluationState.read(folder + "/state") == state)
      }
      #expect(try names(inFolder: folder) == ["state"])
      #expect(try EvaluationState.read(folder + "/none") == nil)
    }
  }

  @Test func aDamagedStateIsRefusedWhateverByteIsWrong() throws {
    let state = try finished(TinyEvaluation.evaluator(.chunked, text: TinyEvaluation.text([64])))
    try withTemporaryFolder { folder in
      let path = folder + "/state"
      try state.write(to: path)
      let good = try bytes(ofFile: path)
      for index in good.indices.dropLast() {
        var bad = good
        bad[index] ^= 1
        try writeFile(bad, to: path)
        do {
          // Of some numbers the last digit does not matter: what is read is then what was written.
          #expect(try EvaluationState.read(path) == state, "byte \(index)")
        } catch let error as EvaluationError {
          #expect(error.kind == .malformedFile, "byte \(index)")
        }
      }
      for length in stride(from: 0, to: good.count - 1, by: 7) {
        try writeFile(Array(good[..<length]), to: path)
        #expect(throws: EvaluationError.self, "\(length) bytes") { try EvaluationState.read(path) }
      }
    }
  }

  @Test("parts in any order make up the whole with the same bits", arguments: [1, 2, 3, 5, 18])
  func merged(count: Int) throws {
    let evaluator = try TinyEvaluation.evaluator(.strided, text: TinyEvaluation.text([150]))
    let whole = try finished(evaluator)
    #expect(whole.windowCount == 18)
    let parts = try (1...count).map { number in
      (file: "part \(number)", state: try finished(evaluator, shard: Shard(number: number, count: count)))
    }
    let merged = try EvaluationState.merged(parts.reversed())
    #expect(merged.results == whole.results && merged.figures == whole.figures)
  }

  @Test func partsThatDoNotMakeUpOneEvaluationAreRefused() throws {
    let evaluator = try TinyEvaluation.evaluator(.chunked)
    let first = try finished(evaluator, shard: Shard(number: 1, count: 2))
    let second = try finished(evaluator, shard: Shard(number: 2, count: 2))
    let other = try finished(evaluator, shard: Shard(number: 2, count: 2), fingerprint: "another")
    func message(_ parts: [(file: String, state: EvaluationState)]) -> String {
      let error = #expect(throws: EvaluationError.self) { try EvaluationState.merged(parts) }
      return error?.description ?? ""
    }
    #expect(message([("a", first)]).contains("window 1 is the first one missing"))
    #expect(message([("a", first), ("b", second), ("c", second)]).contains("c: has window 1, which b has too"))
    #expect(message([("a", first), ("b", other)]).hasPrefix("b: is of another evaluation: its model is another"))
  }

  /// llama.cpp: exp(mean), and that times √((mean of squares − mean²) / (count − 1)).
  @Test func figuresFollowFromTheirDefinitions() throws {
    let losses = [0.5, 1.25, 3, 0.75]
    let window = try TinyEvaluation.evaluator(.rolling).plan.windows[0]
    let results = [
      WindowResult(index: 1, window: window, losses: Array(losses[2...])),
      WindowResult(index: 0, window: window, losses: Array(losses[..<2])),
    ]
    let figures = PerplexityFigures(results, textSize: TextSize(byteCount: 11, wordCount: 3))
    let relative = 1e-14
    func isNear(_ value: Double?, _ expected: Double) -> Bool { abs((value ?? .nan) - expected) <= relative * expected }
    #expect(figures.tokenCount == 4 && figures.windowCount == 2)
    #expect(isNear(figures.lossSum, 5.5) && isNear(figures.meanLoss, 1.375))
    #expect(isNear(figures.perplexity, 3.955076722920577))
    #expect(isNear(figures.standardError, 3.955076722920577 * ((11.375 / 4 - 1.375 * 1.375) / 3).squareRoot()))
    #expect(isNear(figures.wordPerplexity, 6.254700951936329))
    #expect(isNear(figures.bytePerplexity, 1.6487212707001282))
    #expect(isNear(figures.bitsPerByte, 0.7213475204444817))
  }
}
