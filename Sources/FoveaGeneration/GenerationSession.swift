internal import FoveaCore
internal import FoveaModels
package import FoveaTokenizers

/// One text on its way: the prompt's evaluation, then a token at a time.
///
/// `@unchecked Sendable`: every method runs as an operation of the evaluator's stream, whose lock admits one at a time, or
/// on the one thread that owns the session.
package final class GenerationSession: @unchecked Sendable {
  private let evaluator: any TokenEvaluator
  private let evaluation: any TokenEvaluation
  private let options: GenerationOptions
  private let prompt: [Int]
  private let tokenLimit: Int
  /// Whether the prompt is read even where nothing shall be generated.
  private let keepsPrompt: Bool
  private let isCancelled: @Sendable () -> Bool
  private let emit: (GenerationEvent) -> Void
  private let endOfTextTokens: Set<Int>

  private var sampler: Sampler
  private var text: TextAssembler
  private var evaluatedCount: Int
  /// Tokens of the prompt that were known already.
  private let reusedCount: Int
  private var generatedCount = 0
  /// The token generated last, which the model has not read yet.
  private var lastToken = 0
  private var logits: Tensor?
  private var timings = GenerationTimings()
  private let startTime = ContinuousClock.now
  private var firstTokenTime: ContinuousClock.Instant?

  /// Checks the request and encodes the prompt.
  ///
  /// - Parameter reusing: what an earlier text left; of it the part that the prompt begins with is not evaluated again.
  /// - Throws: ``GenerationError`` and the tokenizer's errors.
  package init(
    _ prompt: Prompt, options: GenerationOptions, evaluator: any TokenEvaluator, tokenizer: (any Tokenizer)?,
    reusing earlier: (any TokenEvaluation)? = nil, isCancelled: @escaping @Sendable () -> Bool,
    emit: @escaping (GenerationEvent) -> Void
  ) throws {
    try options.validate()
    let tokens = try GenerationSession.encode(prompt, evaluator, tokenizer)
    evaluation = try earlier ?? evaluator.makeEvaluation(.contiguous)
    keepsPrompt = earlier != nil
    if let limit = evaluation.lengthLimit, tokens.count > limit {
      throw GenerationError.promptTooLong(tokenCount: tokens.count, contextLength: limit)
    }
    sampler = try Sampler(
      options.sampling, vocabularySize: evaluator.vocabularySize, prompt: tokens, stream: evaluator.stream)
    text = try TextAssembler(tokenizer, prompt: tokens, stopStrings: options.stopStrings)
    self.evaluator = evaluator
    self.options = options
    self.prompt = tokens
    self.isCancelled = isCancelled
    self.emit = emit
    tokenLimit = min(options.maximumTokens, (evaluation.lengthLimit ?? .max) - tokens.count)
    let ends = evaluator.endOfTextTokens
    endOfTextTokens = Set(ends.isEmpty ? [tokenizer?.endOfTextToken].compactMap { $0 } : ends)
    // The last token is evaluated in any case, for its logits.
    reusedCount = evaluation.trim(to: evaluation.sharedLength(with: tokens.dropLast()))
    evaluatedCount = reusedCount
    emit(.started(EncodedPrompt(tokens: tokens, text: text.promptText)))
  }

  /// Works for about `slice`, longer only if a single step takes longer; true once the text is complete.
  package func advance(for slice: Duration) throws -> Bool {
    let end = ContinuousClock.now + slice
    repeat {
      if isCancelled() { return finish(.cancelled) }
      let isUnread = evaluatedCount < prompt.count
      if generatedCount == tokenLimit, !(isUnread && keepsPrompt) { return finish(.length) }
      if isUnread {
        try evaluatePromptChunk()
      } else if try generateToken() {
        return true
      }
    } while ContinuousClock.now < end
    return false
  }

  private static func encode(
    _ prompt: Prompt, _ evaluator: any TokenEvaluator, _ tokenizer: (any Tokenizer)?
  ) throws -> [Int] {
    let tokens: [Int]
    switch prompt {
    case .tokens(let given): tokens = given
    case .text(let text):
      guard let tokenizer else { throw GenerationError.missingTokenizer(need: "a prompt of text") }
      tokens = try tokenizer.encode(text)
    }
    if !tokens.isEmpty { return tokens }
    guard let beginning = evaluator.beginningOfTextToken ?? tokenizer?.beginningOfTextToken else {
      throw GenerationError.emptyPrompt
    }
    return [beginning]
  }

  private func evaluatePromptChunk() throws {
    let end = min(evaluatedCount + options.promptChunkLength, prompt.count)
    let isLast = end == prompt.count
    let result = try evaluation.evaluate(Array(prompt[evaluatedCount..<end]), wantsLogits: isLast)
    if isLast { logits = result }
    evaluatedCount = end
    timings.prompt = ContinuousClock.now - startTime
    emit(.promptProgress(evaluatedTokenCount: end, tokenCount: prompt.count))
  }

  /// Chooses a token from the logits at hand, or evaluates the last one first; true if the text is complete.
  private func generateToken() throws -> Bool {
    let choice = try sampler.choose(logits ?? evaluation.evaluate([lastToken], wantsLogits: true))
    logits = nil
    generatedCount += 1
    lastToken = choice.token
    let now = ContinuousClock.now
    timings.generation = now - (firstTokenTime ?? now)
    if firstTokenTime == nil {
      firstTokenTime = now
      timings.firstToken = now - startTime
    }

    let output = try text.append(choice.token)
    let token = GeneratedToken(id: choice.token, logProbability: choice.logProbability)
    emit(.piece(TextPiece(text: output.text, token: token)))
    if let stopString = output.stopString { return finish(.stopString, stopString) }
    if endOfTextTokens.contains(choice.token), !options.ignoresEndOfText { return finish(.endOfText) }
    return false
  }

  private func finish(_ reason: FinishReason, _ stopString: String? = nil) -> Bool {
    let rest = text.finish()
    if !rest.isEmpty { emit(.piece(TextPiece(text: rest, token: nil))) }
    emit(
      .finished(
        GenerationSummary(
          finishReason: reason, stopString: stopString, promptTokenCount: prompt.count,
          evaluatedPromptTokenCount: evaluatedCount - reusedCount, generatedTokenCount: generatedCount,
          seed: sampler.options.seed ?? 0, timings: timings)))
    return true
  }
}
