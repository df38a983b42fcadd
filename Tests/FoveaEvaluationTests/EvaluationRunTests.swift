import FoveaEvaluation
import FoveaModels
import FoveaTestSupport
import Testing

@Suite struct EvaluationRunTests {
  @Test("a run that ends anywhere goes on to the same bits", arguments: PerplexityMethod.allCases)
  func resumed(method: PerplexityMethod) throws {
    // Windows of 200 tokens, so that not all are evaluated together.
    var checkpoint = TinyCheckpoint()
    checkpoint.contextLength = 256
    let model = try TinyEvaluation.model(checkpoint)
    let text = TinyEvaluation.text([1500, 30, 700])
    let evaluator = try TinyEvaluation.evaluator(method, text: text, contextLength: 200, model: model)
    try withTemporaryFolder { folder in
      var whole = try EvaluationRun(evaluator, modelFingerprint: "", perTokenPath: folder + "/whole")
      try whole.run()
      let expected = try bytes(ofFile: folder + "/whole")
      let lines = String(decoding: expected, as: UTF8.self).split(separator: "\n")
      #expect(lines.count == 1 + whole.state.figures.tokenCount)

      let stateFile = EvaluationRun.StateFile(folder + "/state", interval: .zero)
      var runCount = 0
      while true {
        var run = try EvaluationRun(
          evaluator, modelFingerprint: "", stateFile: stateFile, perTokenPath: folder + "/tokens")
        try run.run(shouldGoOn: { _ in false })
        runCount += 1
        // What an interrupted run wrote beyond its state is cut off by the next.
        try writeFile(try bytes(ofFile: folder + "/tokens") + Array("0\t1\t2".utf8), to: folder + "/tokens")
        if run.state.pendingWindowIndices.isEmpty {
          #expect(run.state.results == whole.state.results && run.state.figures == whole.state.figures)
          break
        }
      }
      #expect(runCount >= 4, "\(runCount)")
      let last = try EvaluationRun(
        evaluator, modelFingerprint: "", stateFile: stateFile, perTokenPath: folder + "/tokens")
      #expect(last.resumedWindowCount == evaluator.plan.windows.count)
      #expect(try bytes(ofFile: folder + "/tokens") == expected)
    }
  }

  @Test func aStateOfAnotherEvaluationIsRefusedAndNamesWhatDiffers() throws {
    let evaluator = try TinyEvaluation.evaluator(.chunked)
    try withTemporaryFolder { folder in
      let path = folder + "/state"
      var run = try EvaluationRun(evaluator, modelFingerprint: "a", stateFile: .init(path))
      try run.run()
      func message(
        _ evaluator: WindowEvaluator, fingerprint: String = "a", shard: Shard? = nil, perTokenPath: String? = nil
      ) -> String {
        let error = #expect(throws: EvaluationError.self) {
          try EvaluationRun(
            evaluator, modelFingerprint: fingerprint, shard: shard, stateFile: .init(path), perTokenPath: perTokenPath)
        }
        return error?.description ?? ""
      }
      #expect(message(evaluator, fingerprint: "b").contains("its model is a, this one's b"))
      #expect(message(try TinyEvaluation.evaluator(.strided)).contains("its method is chunked, this one's strided"))
      let other = TinyEvaluation.text([300])
      #expect(message(try TinyEvaluation.evaluator(.chunked, text: other)).contains("its text is"))
      #expect(
        message(evaluator, shard: Shard(number: 1, count: 2)).contains("is of a whole evaluation, not of part 1 of 2"))
      #expect(message(evaluator, perTokenPath: folder + "/tokens").contains("without a file of single tokens"))
    }
  }

  @Test("streaming goes on with the cache beside its state, and without one evaluates the text again")
  func streamingResumed() throws {
    var checkpoint = TinyCheckpoint()
    checkpoint.contextLength = 256
    let model = try TinyEvaluation.model(checkpoint)
    func evaluator() throws -> WindowEvaluator {
      try TinyEvaluation.evaluator(
        .streaming, text: TinyEvaluation.text([3000, 700]), cache: .streaming(maxSize: 100, sinkTokens: 4),
        model: model)
    }
    try withTemporaryFolder { folder in
      var whole = try EvaluationRun(evaluator(), modelFingerprint: "")
      try whole.run()
      let path = folder + "/state"
      let windowCount = whole.state.results.count
      var hasCache = false
      for count in 1...windowCount {
        let evaluator = try evaluator()
        var run = try EvaluationRun(evaluator, modelFingerprint: "", stateFile: .init(path, interval: .zero))
        let continues = evaluator.plan.windows[count - 1].continuesPrevious
        #expect(evaluator.nextWindow == (hasCache && continues ? count - 1 : nil), "window \(count - 1)")
        try run.run(shouldGoOn: { _ in false })
        if count == windowCount { #expect(run.state.results == whole.state.results) }
        hasCache = true
        if count % 4 == 2 {
          try writeFile("no cache", to: path + ".cache")
          hasCache = false
        } else if count % 4 == 3, count < windowCount {
          // Killed when the cache was replaced, and the state was not.
          let state = try bytes(ofFile: path)
          try run.run(shouldGoOn: { _ in false })
          try writeFile(state, to: path)
          hasCache = false
        }
      }
      #expect(try names(inFolder: folder).sorted() == ["state"])
    }
  }

  @Test func streamingCannotBeDividedIntoParts() throws {
    let evaluator = try TinyEvaluation.evaluator(.streaming)
    let error = #expect(throws: EvaluationError.self) {
      try EvaluationRun(evaluator, modelFingerprint: "", shard: Shard(number: 1, count: 2))
    }
    #expect(error?.kind == .invalidOption)
  }
}
