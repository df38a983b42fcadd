public import FoveaModels
public import FoveaTokenizers

/// A conversation with a model, which keeps what the model has read from turn to turn.
///
/// Each turn's prompt is the whole conversation in the form of the model's chat template; of it only what is new is
/// evaluated. Use a session from one task at a time.
public final class ChatSession {
  /// The conversation so far, oldest first. What is changed here counts from the next turn on.
  public var messages: [ChatMessage]
  /// How answers are chosen and where they end.
  public var options: GenerationOptions

  private let generator: TextGenerator
  private let source: ChatTemplate.Source
  private let memory: GenerationMemory

  /// Begins a conversation.
  ///
  /// - Parameters:
  ///   - system: what the model is told first, if its template takes such a message.
  ///   - options: nil takes the model's own.
  ///   - cache: what the model keeps of the conversation.
  /// - Throws: ``TemplateError`` if the model has no template or it cannot be read; ``GenerationError`` if it has no
  ///   tokenizer; `ModelError` for a cache that the model cannot have.
  public init(
    _ generator: TextGenerator, system: String? = nil, options: GenerationOptions? = nil,
    cache: CachePolicy = .contiguous
  ) throws {
    guard generator.tokenizer != nil else { throw GenerationError.missingTokenizer(need: "a chat") }
    guard let template = generator.chatTemplate else {
      throw TemplateError(.missingTemplate, "the model was not loaded from a folder with a chat template")
    }
    source = try template.get()
    self.generator = generator
    self.options = options ?? generator.defaultOptions
    messages = system.map { [ChatMessage(role: "system", content: $0)] } ?? []
    memory = try generator.makeMemory(cache)
  }

  /// The prompt of the conversation as it stands.
  ///
  /// - Throws: ``TemplateError``, also where the template refuses the conversation.
  public func prompt() throws(TemplateError) -> String {
    try source.template.render(messages, variables: source.variables)
  }

  /// Adds what the user says and generates the model's answer. Then call ``keep(answer:)``, with as much of the answer
  /// as there is, or ``takeBack()``.
  ///
  /// - Throws: ``TemplateError`` and the tokenizer's errors; the conversation is as it was before then.
  public func answer(to text: String) throws -> AsyncThrowingStream<GenerationEvent, any Error> {
    messages.append(ChatMessage(role: "user", content: text))
    let tokens: [Int]
    do {
      guard let tokenizer = generator.tokenizer else { throw GenerationError.missingTokenizer(need: "a chat") }
      // The template writes the special tokens itself.
      tokens = try tokenizer.encode(try prompt(), addSpecialTokens: false)
    } catch {
      messages.removeLast()
      throw error
    }
    return generator.generate(.tokens(tokens), options: options, memory: memory)
  }

  /// Keeps the answer to the last message.
  public func keep(answer: String) { messages.append(ChatMessage(role: "assistant", content: answer)) }

  /// Takes back the last message of the user, whose answer failed.
  public func takeBack() {
    if messages.last?.role == "user" { messages.removeLast() }
  }
}
