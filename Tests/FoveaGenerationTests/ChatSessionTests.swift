import Fovea
import FoveaGeneration
import FoveaTestSupport
import Testing

@Suite struct ChatSessionTests {
  private static let template =
    "{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}{{ m.role[0] }}:{{ m.content }}\n{% endfor %}"
    + "{% if add_generation_prompt %}a:{% endif %}"

  /// Says the length of what it has read, as a digit, then ends.
  private func generator(_ log: (FakeModel) -> Void = { _ in }) throws -> TextGenerator {
    let model = try FakeModel { tokens in tokens.last == 3 + 58 ? 3 + 48 + tokens.count % 10 : 2 }
    log(model)
    return try TextGenerator(
      evaluator: model, tokenizer: ByteTokenizer(beginningOfTextToken: nil),
      chatTemplate: Result { () throws(TemplateError) in
        ChatTemplate.Source(template: try ChatTemplate(Self.template), variables: [:])
      })
  }

  private func answer(_ session: ChatSession, _ text: String) async throws -> (text: String, promptLength: Int) {
    var (answer, length) = ("", 0)
    for try await event in try session.answer(to: text) {
      switch event {
      case .started(let prompt): length = prompt.tokens.count
      case .piece(let piece): answer += piece.text
      default: break
      }
    }
    session.keep(answer: answer)
    return (answer, length)
  }

  @Test("each turn evaluates only what is new")
  func reuse() async throws {
    var log: EvaluationLog?
    let session = try ChatSession(generator { log = $0.log }, system: "S")
    let first = try await answer(session, "hello")
    // "s:S\nu:hello\na:" are 14 bytes.
    #expect(first.promptLength == 14 && first.text.hasPrefix("4"))
    #expect(session.messages.map(\.role) == ["system", "user", "assistant"])
    let before = log?.tokenCounts.reduce(0, +) ?? 0
    let second = try await answer(session, "x")
    let evaluated = (log?.tokenCounts.reduce(0, +) ?? 0) - before
    #expect(second.promptLength > first.promptLength && evaluated < second.promptLength - first.promptLength + 4)

    // What went before is gone: the answer is that of a new conversation.
    session.messages.removeAll()
    let fresh = try ChatSession(generator())
    #expect(try await answer(session, "again").text == answer(fresh, "again").text)
  }

  @Test("a conversation that the template refuses stays as it was")
  func refusal() throws {
    let session = try ChatSession(generator())
    session.messages = [ChatMessage(role: "tool", content: "x")]
    #expect(throws: TemplateError.self) { try session.answer(to: "y") }
    #expect(session.messages.count == 1)
  }

  @Test("a model without a template says where it was looked for")
  func missing() async throws {
    let generator = try await TextGenerator.load(folder: BundledFolder.path)
    do {
      _ = try ChatSession(generator)
      Issue.record("a chat began")
    } catch let error as TemplateError {
      #expect(error.kind == .missingTemplate && error.description.contains("chat_template.jinja"))
    }
  }

  private enum BundledFolder {
    static let path =
      String(#filePath.prefix(#filePath.count - "/Tests/FoveaGenerationTests/ChatSessionTests.swift".count))
      + "/Models/storyteller-15m"
  }
}
