public import FoveaCore
public import FoveaModels
public import FoveaTokenizers
internal import Synchronization

/// Writes texts with a language model.
///
/// Any number of texts may be generated at once; each has a cache of its own, and they take turns on the model's stream.
public final class TextGenerator: Sendable {
  /// The tokenizer; nil for a folder without one, where prompts are token ids and no text is made.
  public let tokenizer: (any Tokenizer)?
  /// The options used where none are given: those of the model's folder.
  public let defaultOptions: GenerationOptions
  /// The folder's chat template; nil where there is none. An error is that of its parsing.
  public let chatTemplate: Result<ChatTemplate.Source, TemplateError>?
  let evaluator: any TokenEvaluator

  /// Where computation happens.
  public var stream: ComputeStream { evaluator.stream }
  /// The most tokens that prompt and generated text may have together.
  public var contextLength: Int { evaluator.contextLength }
  /// The number of token ids that the model knows.
  public var vocabularySize: Int { evaluator.vocabularySize }

  /// Joins a loaded model with a tokenizer.
  ///
  /// - Throws: `TokenizerError` where the tokenizer knows more tokens than the model.
  public convenience init(
    model: DecoderModel, tokenizer: (any Tokenizer)?, defaultOptions: GenerationOptions = GenerationOptions()
  ) throws {
    try self.init(evaluator: model, tokenizer: tokenizer, defaultOptions: defaultOptions)
  }

  package init(
    evaluator: any TokenEvaluator, tokenizer: (any Tokenizer)?,
    defaultOptions: GenerationOptions = GenerationOptions(), folder: String = "tokenizer",
    chatTemplate: Result<ChatTemplate.Source, TemplateError>? = nil
  ) throws {
    try tokenizer?.checkVocabulary(fitsModelOf: evaluator.vocabularySize, folder: folder)
    self.evaluator = evaluator
    self.tokenizer = tokenizer
    self.defaultOptions = defaultOptions
    self.chatTemplate = chatTemplate
  }

  /// Generates what follows `prompt`.
  ///
  /// An event reaches the reader within 10 ms and the time of a token. The model computes ahead of a slow reader, by some
  /// thousand events. It stops within a token when the reading task is cancelled or the sequence is dropped.
  ///
  /// - Parameters:
  ///   - options: nil takes ``defaultOptions``.
  ///   - memory: what an earlier text left, and where this one is kept; nothing else may use it meanwhile. nil begins anew
  ///     and keeps the whole text, up to the model's context.
  /// - Returns: ``GenerationEvent/started(_:)`` first and ``GenerationEvent/finished(_:)`` last. The sequence throws
  ///   ``GenerationError`` for a request that cannot be fulfilled, and what the tokenizer and the model throw.
  public func generate(
    _ prompt: Prompt, options: GenerationOptions? = nil, memory: GenerationMemory? = nil
  ) -> AsyncThrowingStream<GenerationEvent, any Error> {
    let options = options ?? defaultOptions
    let (events, continuation) = AsyncThrowingStream<GenerationEvent, any Error>.makeStream(
      bufferingPolicy: .bufferingOldest(EventOutlet.capacity))
    let outlet = EventOutlet(continuation)
    let flag = CancellationFlag()
    continuation.onTermination = { _ in flag.set() }
    let isCancelled: @Sendable () -> Bool = { flag.isSet || (options.isCancelled?() ?? false) }
    let (evaluator, tokenizer) = (evaluator, tokenizer)
    Task {
      do {
        let session = try await evaluator.stream.perform {
          try GenerationSession(
            prompt, options: options, evaluator: evaluator, tokenizer: tokenizer, reusing: memory?.evaluation,
            isCancelled: isCancelled, emit: { outlet.send($0) })
        }
        // In slices, so that texts on one stream take turns; as long as possible, since a hop takes about 20 µs.
        while try await !evaluator.stream.perform({ try session.advance(for: .milliseconds(20)) }) {
          try await outlet.catchUp()
        }
        try await outlet.catchUp()
        continuation.finish()
      } catch {
        // What was written before is the reader's; only cancelling keeps it from there.
        try? await outlet.catchUp()
        continuation.finish(throwing: error)
      }
    }
    return events
  }

  /// Generates what follows `prompt`, as pieces of text alone.
  public func text(
    following prompt: Prompt, options: GenerationOptions? = nil
  ) -> some AsyncSequence<String, any Error> & Sendable {
    generate(prompt, options: options).compactMap { event in
      if case .piece(let piece) = event, !piece.text.isEmpty { piece.text } else { nil }
    }
  }
}

/// Set once, by whoever ends the reading of a text.
private final class CancellationFlag: Sendable {
  private let value = Atomic<Bool>(false)
  var isSet: Bool { value.load(ordering: .relaxed) }
  func set() { value.store(true, ordering: .relaxed) }
}
