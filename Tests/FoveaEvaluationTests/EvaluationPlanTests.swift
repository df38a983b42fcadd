import FoveaEvaluation
import FoveaModels
import Testing

@Suite struct EvaluationPlanTests {
  /// What a window conditions on and what it scores.
  struct Window: Equatable {
    let context: [Int]
    let scored: [Int]
  }

  private func windows(
    _ method: PerplexityMethod, documents: [[Int]], begin: Int? = 1, length: Int, stride: Int? = nil, limit: Int? = nil
  ) throws -> [Window] {
    let plan = try EvaluationPlan(
      method, text: EvaluationText(documents: documents, size: nil, beginningOfTextToken: begin),
      contextLength: length, stride: stride, windowLimit: limit, modelContextLength: 64)
    return plan.windows.map { window in
      let (tokens, firstScored) = plan.tokens(of: window)
      #expect(plan.evaluatedTokenCount(of: window) == tokens.count - 1)
      return Window(context: Array(tokens[..<firstScored]), scored: Array(tokens[firstScored...]))
    }
  }

  private func document(_ count: Int) -> [Int] { Array(100..<100 + count) }

  @Test func chunksScoreTheirSecondHalfAfterAReplacedFirstToken() throws {
    // n = 8: positions 4 to 6 predict tokens 5 to 7, n − n/2 − 1 = 3 targets; the last 3 tokens are dropped.
    let expected = [
      Window(context: [1, 101, 102, 103, 104], scored: [105, 106, 107]),
      Window(context: [1, 109, 110, 111, 112], scored: [113, 114, 115]),
    ]
    #expect(try windows(.chunked, documents: [document(19)], length: 8) == expected)
    let bare = try windows(.chunked, documents: [document(19)], begin: nil, length: 8)
    #expect(bare.map(\.scored) == expected.map(\.scored) && bare[1].context == [108, 109, 110, 111, 112])
    #expect(try windows(.chunked, documents: [document(19)], length: 8, limit: 1) == [expected[0]])
    // Documents are joined.
    #expect(try windows(.chunked, documents: [document(10), Array(110..<119)], length: 8) == expected)
  }

  @Test func stridedWindowsScoreEveryTokenButTheFirstOnce() throws {
    #expect(
      try windows(.strided, documents: [document(11)], length: 6, stride: 2) == [
        Window(context: [100], scored: [101, 102, 103, 104, 105]),
        Window(context: [102, 103, 104, 105], scored: [106, 107]),
        Window(context: [104, 105, 106, 107], scored: [108, 109]),
        Window(context: [106, 107, 108, 109], scored: [110]),
      ])
    // A stride of 1 recomputes every window for one token.
    let single = try windows(.strided, documents: [document(9)], length: 4, stride: 1)
    #expect(single.count == 6 && single.last == Window(context: [105, 106, 107], scored: [108]))
  }

  /// From lm-eval 0.4.13: `map(make_disjoint_window, get_rolling_token_windows(tokens, 1, length, 1))`.
  @Test func rollingWindowsAreThoseOfLMEval() throws {
    #expect(
      try windows(.rolling, documents: [document(10)], length: 4) == [
        Window(context: [1], scored: [100, 101, 102, 103]), Window(context: [103], scored: [104, 105, 106, 107]),
        Window(context: [105, 106, 107], scored: [108, 109]),
      ])
    #expect(
      try windows(.rolling, documents: [document(9)], length: 8).last
        == Window(context: Array(100..<108), scored: [108]))
    #expect(
      try windows(.rolling, documents: [document(8), document(1)], length: 4) == [
        Window(context: [1], scored: [100, 101, 102, 103]), Window(context: [103], scored: [104, 105, 106, 107]),
        Window(context: [1], scored: [100]),
      ])
  }

  @Test func streamingPiecesScoreEveryTokenAfterTheOneBefore() throws {
    func plan(_ documents: [[Int]], begin: Int?) throws -> EvaluationPlan {
      try EvaluationPlan(
        .streaming, text: EvaluationText(documents: documents, size: nil, beginningOfTextToken: begin),
        modelContextLength: 64)
    }
    for (begin, first) in [(1, 0), (nil, 1), (100, 1)] as [(Int?, Int)] {
      let plan = try plan([document(1030), [7], document(3)], begin: begin)
      var scored: [[Int]] = [[], [], []]
      for (index, window) in plan.windows.enumerated() {
        let (tokens, firstScored) = plan.tokens(of: window)
        #expect(firstScored == 1, "what comes before the last condition is in the cache")
        #expect(window.continuesPrevious == (window.scored.lowerBound >= 512))
        if window.continuesPrevious { #expect(tokens[0] == plan.windows[index - 1].range.upperBound + 99) }
        if window.scored.lowerBound == 0 { #expect(tokens[0] == begin) }
        scored[window.document] += tokens[firstScored...]
      }
      #expect(scored[0] == Array(document(1030)[first...]) && scored[2] == Array(document(3)[first...]))
      #expect(scored[1] == (begin == nil ? [] : [7]))
      #expect(plan.coversText == (begin != nil))
      #expect(plan.cachePolicy == .streaming(maxSize: 64, sinkTokens: 4) && plan.contextLength == 64)
    }
  }

  @Test(
    arguments: [
      (PerplexityMethod.chunked, 3, nil, 20, "the context length is 3, expected 4 to 64"),
      (.strided, 65, nil, 20, "the context length is 65, expected 2 to 64"),
      (.strided, 8, 9, 20, "the stride is 9, expected 1 to 8"),
      (.strided, 8, 0, 20, "the stride is 0, expected 1 to 8"),
      (.rolling, 8, 4, 20, "a stride goes with the method strided only"),
      (.streaming, 8, nil, 20, "the method streaming has no windows"),
      (.chunked, 8, nil, 7, "the text has 7 tokens, too few for the method chunked with a context length of 8"),
      (.strided, 8, nil, 1, "the text has 1 tokens, too few for the method strided"),
      (.rolling, 8, nil, 0, "the text has 0 tokens, too few for the method rolling"),
    ] as [(PerplexityMethod, Int, Int?, Int, String)])
  func whatCannotBeCutIsNamed(
    method: PerplexityMethod, length: Int, stride: Int?, count: Int, message: String
  ) throws {
    let error = #expect(throws: EvaluationError.self) {
      _ = try windows(method, documents: [document(count)], length: length, stride: stride)
    }
    #expect(error?.message.hasPrefix(message) == true, "\(String(describing: error))")
  }

  /// Counts from Python: `len(re.split(r"\s+", text))` and `len(text.encode())`.
  @Test(arguments: [
    ("", 1, 0), ("a", 1, 1), ("a b", 2, 3), (" a  b\n", 4, 6), ("é\u{A0}x", 2, 5), ("a\u{1C}b", 2, 3), (" ", 2, 1),
  ])
  func wordsAreCountedAsLMEvalDoes(text: String, words: Int, bytes: Int) {
    #expect(TextSize(text) == TextSize(byteCount: bytes, wordCount: words))
  }
}
