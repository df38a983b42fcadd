import Fovea
import FoveaGeneration
import Synchronization
import Testing

@Suite struct TextGeneratorTests {
  @Test func eventsComeInOrderAndSpellTheText() async throws {
    let generator = try TextGenerator(evaluator: FakeModel(saying: "a🙂", afterTokens: 3), tokenizer: ByteTokenizer())
    let events = try await collect(generator.generate("Hi"))
    #expect(events.first == .started(EncodedPrompt(tokens: [1, 75, 108], text: "Hi")))
    #expect(events[1] == .promptProgress(evaluatedTokenCount: 3, tokenCount: 3))
    // Never half a character: the text of the four bytes comes with the last.
    #expect(pieces(events).map(\.text) == ["a", "", "", "", "🙂", ""])
    #expect(pieces(events).compactMap { $0.token?.id } == [100, 243, 162, 156, 133, 2])
    let summary = try #require(finish(events))
    #expect(summary.finishReason == .endOfText)
    #expect(summary.promptTokenCount == 3 && summary.generatedTokenCount == 6)
  }

  @Test func textAloneHasNoEmptyPieces() async throws {
    let generator = try TextGenerator(evaluator: FakeModel(saying: "a🙂", afterTokens: 3), tokenizer: ByteTokenizer())
    var pieces: [String] = []
    for try await piece in generator.text(following: "Hi") { pieces.append(piece) }
    #expect(pieces == ["a", "🙂"])
  }

  @Test func stopStringsEndTheTextAndAreNoPartOfIt() async throws {
    let generator = try TextGenerator(
      evaluator: FakeModel(saying: "one END two", afterTokens: 2), tokenizer: ByteTokenizer())
    var options = GenerationOptions()
    options.stopStrings = ["END", "zzz"]
    let events = try await collect(generator.generate("x", options: options))
    #expect(pieces(events).map(\.text).joined() == "one ")
    #expect(finish(events)?.finishReason == .stopString)
    #expect(finish(events)?.stopString == "END")
    #expect(finish(events)?.generatedTokenCount == 7)
  }

  @Test func heldBackTextComesAtTheEnd() async throws {
    let generator = try TextGenerator(evaluator: FakeModel(saying: "an EN", afterTokens: 2), tokenizer: ByteTokenizer())
    var options = GenerationOptions()
    options.stopStrings = ["END"]
    let events = try await collect(generator.generate("x", options: options))
    #expect(pieces(events).map(\.text).joined() == "an EN")
    #expect(pieces(events).last == TextPiece(text: "EN", token: nil))
  }

  @Test(arguments: [0, 1, 3])
  func maximumTokensIsKept(maximumTokens: Int) async throws {
    let model = try FakeModel(saying: "abcdef", afterTokens: 2)
    let generator = try TextGenerator(evaluator: model, tokenizer: ByteTokenizer())
    var options = GenerationOptions()
    options.maximumTokens = maximumTokens
    let events = try await collect(generator.generate("x", options: options))
    #expect(pieces(events).map(\.text).joined() == "abcdef".prefix(maximumTokens))
    #expect(finish(events)?.finishReason == .length)
    // The last token need not be read by the model, and nothing at all for no tokens.
    #expect(model.log.tokenCounts == (maximumTokens == 0 ? [] : [2] + Array(repeating: 1, count: maximumTokens - 1)))
  }

  @Test func theContextIsALimit() async throws {
    var model = try FakeModel(saying: "abcdef", afterTokens: 2)
    model.contextLength = 4
    let generator = try TextGenerator(evaluator: model, tokenizer: ByteTokenizer())
    let events = try await collect(generator.generate("x"))
    #expect(pieces(events).count == 2 && finish(events)?.finishReason == .length)
    #expect(finish(try await collect(generator.generate("xyz")))?.generatedTokenCount == 0)
    await #expect(throws: GenerationError.promptTooLong(tokenCount: 5, contextLength: 4)) {
      try await collect(generator.generate("wxyz"))
    }
  }

  @Test func longPromptsAreReadInChunks() async throws {
    let model = try FakeModel { _ in 2 }
    let generator = try TextGenerator(evaluator: model, tokenizer: ByteTokenizer())
    var options = GenerationOptions()
    options.promptChunkLength = 7
    _ = try await collect(generator.generate(.tokens(Array(repeating: 5, count: 16)), options: options))
    #expect(model.log.tokenCounts == [7, 7, 2])
  }

  @Test func ignoredEndOfTextGoesOn() async throws {
    let generator = try TextGenerator(evaluator: FakeModel(saying: "a", afterTokens: 2), tokenizer: ByteTokenizer())
    var options = GenerationOptions()
    options.ignoresEndOfText = true
    options.maximumTokens = 5
    let events = try await collect(generator.generate("x", options: options))
    #expect(pieces(events).compactMap { $0.token?.id } == [100, 2, 2, 2, 2])
  }

  @Test func emptyPromptsBeginWithTheBeginningOfText() async throws {
    var model = try FakeModel(saying: "a", afterTokens: 1)
    for prompt in [Prompt.text(""), .tokens([])] {
      let generator = try TextGenerator(evaluator: model, tokenizer: ByteTokenizer())
      #expect(try await collect(generator.generate(prompt)).first == .started(EncodedPrompt(tokens: [1], text: "")))
    }
    model.beginningOfTextToken = nil
    let generator = try TextGenerator(evaluator: model, tokenizer: ByteTokenizer(beginningOfTextToken: nil))
    await #expect(throws: GenerationError.emptyPrompt) { try await collect(generator.generate("")) }
  }

  @Test(arguments: [-1, 260])
  func unknownPromptTokensAreRefused(token: Int) async throws {
    let generator = try TextGenerator(evaluator: FakeModel { _ in 2 }, tokenizer: ByteTokenizer())
    await #expect(throws: GenerationError.tokenOutOfVocabulary(token: token, vocabularySize: 260)) {
      try await collect(generator.generate(.tokens([1, token])))
    }
  }

  @Test func aModelWithoutTokenizerTakesTokens() async throws {
    let generator = try TextGenerator(evaluator: FakeModel(saying: "a", afterTokens: 2), tokenizer: nil)
    let events = try await collect(generator.generate([1, 5]))
    #expect(pieces(events).compactMap { $0.token?.id } == [100, 2])
    await #expect(throws: GenerationError.self) { try await collect(generator.generate("x")) }
    let options = GenerationOptions(sampling: SamplingOptions(), stopStrings: ["x"])
    await #expect(throws: GenerationError.self) { try await collect(generator.generate([1], options: options)) }
  }

  @Test func whatWasWrittenBeforeAnErrorIsRead() async throws {
    var model = try FakeModel { _ in 100 }
    model.failingLength = 10
    let generator = try TextGenerator(evaluator: model, tokenizer: ByteTokenizer())
    var pieceCount = 0
    await #expect(throws: FakeFailure.self) {
      for try await event in generator.generate("x") { if case .piece = event { pieceCount += 1 } }
    }
    // Two tokens of the prompt; the tenth is chosen and cannot be evaluated.
    #expect(pieceCount == 8)
  }

  @Test func aTokenizerLargerThanTheModelIsRefused() throws {
    let model = try FakeModel { _ in 2 }
    #expect {
      try TextGenerator(evaluator: model, tokenizer: ByteTokenizer(vocabularySize: 261))
    } throws: { error in
      let text = String(describing: error)
      return text.contains("261") && text.contains("260")
    }
  }

  @Test func theSameSeedGivesTheSameTextForAnyThreadCount() async throws {
    var options = GenerationOptions()
    options.sampling = SamplingOptions(temperature: 5, seed: 9)
    options.maximumTokens = 50
    var texts: Set<[Int]> = []
    for threadCount in [1, 2, 2] {
      let model = try FakeModel(threadCount: threadCount) { ($0.count * 7) % 250 }
      let generator = try TextGenerator(evaluator: model, tokenizer: nil)
      texts.insert(pieces(try await collect(generator.generate([1], options: options))).compactMap { $0.token?.id })
    }
    #expect(texts.count == 1)
  }

  @Test func textsOnOneStreamTakeTurns() async throws {
    let generator = try TextGenerator(evaluator: FakeModel(saying: "abc", afterTokens: 2), tokenizer: ByteTokenizer())
    try await withThrowingTaskGroup(of: String.self) { group in
      for _ in 0..<8 {
        group.addTask { pieces(try await collect(generator.generate("x"))).map(\.text).joined() }
      }
      for try await text in group { #expect(text == "abc") }
    }
  }
}

@Suite struct CancellationTests {
  @Test func theOptionsCheckEndsTheTextWithASummary() async throws {
    let model = try FakeModel { _ in 100 }
    let generator = try TextGenerator(evaluator: model, tokenizer: ByteTokenizer())
    var options = GenerationOptions()
    options.maximumTokens = 900
    options.isCancelled = { model.log.tokenCounts.count >= 4 }
    let events = try await collect(generator.generate("x", options: options))
    #expect(finish(events)?.finishReason == .cancelled)
    #expect(finish(events)?.generatedTokenCount == 4)
  }

  @Test func leavingTheLoopStopsTheComputation() async throws {
    let model = try slowModel()
    let generator = try TextGenerator(evaluator: model, tokenizer: ByteTokenizer())
    var options = GenerationOptions()
    options.maximumTokens = 900
    for try await event in generator.generate("x", options: options) {
      if case .piece = event { break }
    }
    try await expectRest(model)
  }

  @Test func cancellingTheReaderStopsTheComputation() async throws {
    let model = try slowModel()
    let generator = try TextGenerator(evaluator: model, tokenizer: ByteTokenizer())
    let reader = Task {
      var options = GenerationOptions()
      options.maximumTokens = 900
      return try await collect(generator.generate("x", options: options)).count
    }
    while model.log.tokenCounts.count < 3 { try await Task.sleep(for: .milliseconds(1)) }
    reader.cancel()
    _ = try await reader.value
    try await expectRest(model)
  }

  private func slowModel() throws -> FakeModel {
    try FakeModel { _ in
      // A token of 5 ms, on the stream's own thread.
      let end = ContinuousClock.now + .milliseconds(5)
      while ContinuousClock.now < end {}
      return 100
    }
  }

  /// At most the token under way is still computed.
  private func expectRest(_ model: FakeModel) async throws {
    let count = model.log.tokenCounts.count
    try await Task.sleep(for: .milliseconds(100))
    let later = model.log.tokenCounts.count
    #expect(later <= count + 1, "\(later - count) tokens were evaluated after the end")
    #expect(later < 100)
  }
}

func collect(_ events: AsyncThrowingStream<GenerationEvent, any Error>) async throws -> [GenerationEvent] {
  var all: [GenerationEvent] = []
  for try await event in events { all.append(event) }
  return all
}

func pieces(_ events: [GenerationEvent]) -> [TextPiece] {
  events.compactMap { if case .piece(let piece) = $0 { piece } else { nil } }
}

func finish(_ events: [GenerationEvent]) -> GenerationSummary? {
  if case .finished(let summary) = events.last { summary } else { nil }
}
