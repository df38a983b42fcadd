import ArgumentParser
import Fovea

/// `fovea chat`: a conversation at the terminal, or one turn for each line of standard input.
struct ChatCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chat", abstract: "Talk with a model that has a chat template.",
    discussion: """
      Each line is a turn; of the conversation only what is new is evaluated. Ctrl-C stops an answer, Ctrl-D ends the \
      conversation. Lines that begin with / are commands: /reset, /system TEXT, /save FILE, /load FILE, /help, /exit.
      """)

  @Option(help: ArgumentHelp("What the model is told before the conversation.", valueName: "text"))
  var system: String?

  @Option(help: ArgumentHelp("Go on with a conversation that /save wrote.", valueName: "path"))
  var load: String?

  @OptionGroup var sampling: SamplingArguments
  @OptionGroup var cache: CacheArguments
  @OptionGroup var model: ModelOptions
  @OptionGroup var compute: ComputeOptions

  @Flag(help: "Write times and speeds of each turn to standard error.")
  var verbose = false

  func run() async throws {
    let folder = try model.resolvedFolder()
    let startTime = ContinuousClock.now
    let progress = ProgressLine("loading \(folder)")
    defer { progress.finish() }
    let generator = try await TextGenerator.load(
      folder: folder, precision: compute.precision, threadCount: compute.threads)
    progress.finish()
    let loadDuration = ContinuousClock.now - startTime
    let session = try ChatSession(
      generator, system: system, options: sampling.applied(to: generator.defaultOptions),
      cache: cache.policy(contextLength: generator.contextLength))
    if let load { session.messages = try Conversation.read(load) }

    var input = LineReader(prompt: "> ")
    if input.isInteractive {
      StandardStream.error.writeIgnoringFailure("/help shows the commands; Ctrl-D ends the conversation.\n")
    }
    while let line = try input.next() {
      let text = line.trimmingSpaces()
      guard !text.isEmpty else { continue }
      if text.hasPrefix("/") {
        if try !perform(text, session) { return }
        continue
      }
      var report = GenerationReport(
        model: folder, loadDuration: loadDuration, precision: compute.precision, stream: generator.stream)
      do {
        try await answer(text, session, &report)
      } catch let error as any FoveaError where input.isInteractive {
        // A message that does not fit, or that the template refuses, ends the turn and not the conversation.
        StandardStream.error.writeIgnoringFailure("fovea: \(error.description)\n")
      }
      if verbose { try StandardStream.error.write(report.table) }
    }
  }

  private func answer(_ text: String, _ session: ChatSession, _ report: inout GenerationReport) async throws {
    Interrupt.catchOnce()
    session.options.isCancelled = { Interrupt.isRequested }
    var answer = ""
    do {
      for try await event in try session.answer(to: text) {
        report.add(event)
        if case .piece(let piece) = event, !piece.text.isEmpty {
          try StandardStream.output.write(piece.text)
          answer += piece.text
        }
      }
    } catch {
      session.takeBack()
      if !answer.isEmpty { StandardStream.output.writeIgnoringFailure("\n") }
      throw error
    }
    try StandardStream.output.write("\n")
    session.keep(answer: answer)
  }

  /// Performs a line that begins with a slash; false ends the conversation.
  private func perform(_ line: String, _ session: ChatSession) throws -> Bool {
    let name = String(line.prefix { $0 != " " })
    let argument = String(line.dropFirst(name.count)).trimmingSpaces()
    func say(_ text: String) { StandardStream.error.writeIgnoringFailure(text + "\n") }
    func needsArgument(_ what: String) -> Bool {
      if argument.isEmpty { say("\(name) needs \(what)") }
      return !argument.isEmpty
    }
    let system = session.messages.filter { $0.role == "system" }
    do {
      switch name {
      case "/exit", "/quit", "/bye": return false
      case "/reset":
        session.messages = system
        say("The conversation begins anew.")
      case "/system":
        session.messages.removeAll { $0.role == "system" }
        if !argument.isEmpty { session.messages.insert(ChatMessage(role: "system", content: argument), at: 0) }
      case "/save":
        if needsArgument("a file") {
          try Conversation.write(session.messages, to: argument)
          say("\(session.messages.count) messages are in \(argument).")
        }
      case "/load":
        if needsArgument("a file") {
          session.messages = try Conversation.read(argument)
          say("\(session.messages.count) messages were in \(argument).")
        }
      case "/help":
        say(
          """
          /reset        forget the conversation, but for the system message
          /system TEXT  tell the model something before the conversation; nothing takes it back
          /save FILE    write the conversation as JSON
          /load FILE    go on with a saved conversation
          /exit         end
          """)
      default: say("there is no command '\(name)'; /help shows them")
      }
    } catch let error as any FoveaError {
      say("fovea: \(error.description)")
    }
    return true
  }
}

extension String {
  /// Without white space at the ends.
  fileprivate func trimmingSpaces() -> String {
    var text = self[...]
    while let first = text.first, first.isWhitespace { text.removeFirst() }
    while let last = text.last, last.isWhitespace { text.removeLast() }
    return String(text)
  }
}
