import ArgumentParser
import Fovea

/// `fovea generate`: continues a text.
struct GenerateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate", abstract: "Continue a text.",
    discussion: """
      The text is written as it is made. Ctrl-C ends it after the current token, with exit code 130. What is not given \
      on the command line comes from the model's generation_config.json, as in Hugging Face's generate.

      A file or standard input must be valid UTF-8; one line break at its end is dropped.
      """)

  @OptionGroup var source: PromptOptions
  @OptionGroup var sampling: SamplingArguments
  @OptionGroup var cache: CacheArguments
  @OptionGroup var savedCache: SavedCacheArguments
  @OptionGroup var model: ModelOptions
  @OptionGroup var compute: ComputeOptions

  @Flag(help: "Take the prompt as a message to the model, in the form of its chat template.")
  var chat = false

  @Option(help: ArgumentHelp("What the model is told before the message; needs --chat.", valueName: "text"))
  var system: String?

  @Flag(help: "Write the prompt before the text.")
  var echo = false

  @Flag(help: "Write one JSON object at the end instead of text.")
  var json = false

  @Flag(help: "Write times, speeds and memory to standard error.")
  var verbose = false

  func validate() throws {
    guard system == nil || chat else { throw ValidationError("--system needs --chat") }
    guard source.promptTokens == nil || !chat else { throw ValidationError("--chat takes a text, not --prompt-tokens") }
  }

  func run() async throws {
    let folder = try model.resolvedFolder()
    try savedCache.checkFolder()
    var prompt = try source.read()
    let startTime = ContinuousClock.now
    let generator = try await load(folder)
    if chat, case .text(let text) = prompt { prompt = .tokens(try chatTokens(text, generator)) }
    var report = GenerationReport(
      model: folder, loadDuration: ContinuousClock.now - startTime, precision: compute.precision,
      stream: generator.stream, keepsText: json)
    let memory = try await savedCache.memory(generator, cache)

    Interrupt.catchOnce()
    var options = sampling.applied(to: generator.defaultOptions)
    options.isCancelled = { Interrupt.isRequested }
    var writer = TextWriter(isSilent: json, writesTokens: generator.tokenizer == nil)
    do {
      try await write(generator.generate(prompt, options: options, memory: memory), prompt, to: &writer, &report)
    } catch {
      // The error shall begin a line of its own.
      try writer.finish()
      throw error
    }
    try writer.finish()
    if let path = savedCache.saveCache { try await memory?.save(to: path) }
    if json { try StandardStream.output.write(jsonLine(report.json)) }
    if verbose { try StandardStream.error.write(report.table) }
    if Interrupt.isRequested { throw ExitCode(Interrupt.exitCode) }
  }

  /// The prompt of a conversation of one message.
  private func chatTokens(_ text: String, _ generator: TextGenerator) throws -> [Int] {
    let session = try ChatSession(generator, system: system)
    session.messages.append(ChatMessage(role: "user", content: text))
    guard let tokenizer = generator.tokenizer else { return [] }
    return try tokenizer.encode(try session.prompt(), addSpecialTokens: false)
  }

  private func load(_ folder: String) async throws -> TextGenerator {
    let progress = ProgressLine("loading \(folder)")
    defer { progress.finish() }
    return try await .load(folder: folder, precision: compute.precision, threadCount: compute.threads)
  }

  private func write(
    _ events: AsyncThrowingStream<GenerationEvent, any Error>, _ prompt: Prompt, to writer: inout TextWriter,
    _ report: inout GenerationReport
  ) async throws {
    let progress = ProgressLine("reading the prompt")
    defer { progress.finish() }
    for try await event in events {
      report.add(event)
      switch event {
      case .started(let encoded):
        // The text as it was given, since a tokenizer may normalise it.
        let text = if case .text(let given) = prompt { given } else { encoded.text }
        if echo {
          try writer.write(text, tokens: encoded.tokens)
          report.text = text
        }
      case .promptProgress(let evaluatedTokenCount, let tokenCount):
        progress.update("reading the prompt: \(evaluatedTokenCount) of \(tokenCount) tokens")
      case .piece(let piece):
        progress.finish()
        try writer.write(piece.text, tokens: piece.token.map { [$0.id] } ?? [])
      case .finished:
        break
      }
    }
  }
}

/// Writes text as it is made, or token ids for a model without a tokenizer, and ends it with a line break.
private struct TextWriter {
  let isSilent: Bool
  let writesTokens: Bool
  private var endsLine = true

  init(isSilent: Bool, writesTokens: Bool) {
    self.isSilent = isSilent
    self.writesTokens = writesTokens
  }

  mutating func write(_ text: String, tokens: [Int]) throws {
    guard !isSilent else { return }
    var text = text
    if writesTokens {
      text = (endsLine || tokens.isEmpty ? "" : ",") + tokens.map(String.init).joined(separator: ",")
    }
    guard !text.isEmpty else { return }
    try StandardStream.output.write(text)
    endsLine = text.utf8.last == UInt8(ascii: "\n")
  }

  mutating func finish() throws {
    if !endsLine { try StandardStream.output.write("\n") }
    endsLine = true
  }
}
