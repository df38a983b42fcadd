internal import FoveaCore

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// The template by which a model's checkpoint turns a conversation into a prompt: Jinja as transformers renders it.
///
/// A template sees its inputs and nothing else; steps, memory, output and depth are bounded, so that a hostile one ends in
/// an error.
public struct ChatTemplate: Sendable {
  private let nodes: [TemplateNode]
  /// The file that the template came from, for errors.
  public let file: String?

  /// Parses a template.
  ///
  /// - Throws: ``TemplateError`` with the line at fault.
  public init(_ source: String, file: String? = nil) throws(TemplateError) {
    do throws(TemplateError) {
      var parser = try TemplateParser(source)
      nodes = try parser.parse()
    } catch {
      throw TemplateError(error.kind, file: file, line: error.line, error.message)
    }
    self.file = file
  }

  /// The prompt of a conversation.
  ///
  /// - Parameters:
  ///   - messages: the conversation, oldest first.
  ///   - tools: descriptions of functions that the model may call, as JSON objects.
  ///   - addsGenerationPrompt: whether to end with what begins the model's answer.
  ///   - variables: further inputs by name, such as `bos_token`.
  /// - Throws: ``TemplateError``, among others of kind `raisedException` with the template's own text.
  public func render(
    _ messages: [ChatMessage], tools: [TemplateValue]? = nil, addsGenerationPrompt: Bool = true,
    variables: [String: TemplateValue] = [:]
  ) throws(TemplateError) -> String {
    var inputs = variables
    inputs["messages"] = .list(messages.map(\.value))
    inputs["tools"] = tools.map { .list($0) } ?? TemplateValue.none
    inputs["documents"] = TemplateValue.none
    inputs["add_generation_prompt"] = .bool(addsGenerationPrompt)
    return try render(variables: inputs)
  }

  /// The text that the template makes of `variables`.
  package func render(variables: [String: TemplateValue]) throws(TemplateError) -> String {
    let scope = TemplateScope()
    for (name, function) in Self.functions { scope[name] = .function(function) }
    let inputs = TemplateScope(parent: scope)
    for (name, value) in variables { inputs[name] = value }
    do {
      return try TemplateInterpreter.render(nodes, scope: inputs)
    } catch let error as TemplateError {
      throw TemplateError(error.kind, file: file, line: error.line, error.message)
    } catch {
      throw TemplateError(.failedRendering, file: file, "\(error)")
    }
  }

  // MARK: Functions

  private static let functions: [String: TemplateFunction] = {
    func function(
      _ name: String, _ body: @escaping @Sendable (TemplateArguments, TemplateInterpreter) throws -> TemplateValue
    ) -> (String, TemplateFunction) { (name, TemplateFunction(name: name, body: body)) }
    return Dictionary(uniqueKeysWithValues: [
      function("range") { arguments, interpreter in
        let bounds = arguments.positional.compactMap(\.integer)
        guard (1...3).contains(bounds.count), bounds.count == arguments.positional.count else {
          throw interpreter.failure("'range' needs one to three integers")
        }
        let step = bounds.count == 3 ? bounds[2] : 1
        guard step != 0 else { throw interpreter.failure("the step of 'range' must not be zero") }
        let (first, end) = bounds.count == 1 ? (0, bounds[0]) : (bounds[0], bounds[1])
        // Jinja's sandbox has the same bound.
        let count = step > 0 ? Double(end) - Double(first) : Double(first) - Double(end)
        guard count / abs(Double(step)) <= 100_000 else {
          throw TemplateError(.exceededLimit, "'range' gives more than 100000 numbers")
        }
        try interpreter.take(bytes: max(0, Int(count / abs(Double(step)))) * 16)
        return .list(stride(from: first, to: end, by: step).map { .int($0) })
      },
      function("namespace") { arguments, interpreter in
        var members = TemplateDictionary()
        if case .dictionary(let dictionary)? = arguments.positional.first { members = dictionary }
        for (name, value) in arguments.named { members[name] = value }
        return try interpreter.makeNamespace(members)
      },
      function("dict") { arguments, _ in
        var members = TemplateDictionary()
        if case .dictionary(let dictionary)? = arguments.positional.first { members = dictionary }
        for (name, value) in arguments.named { members[name] = value }
        return .dictionary(members)
      },
      function("raise_exception") { arguments, interpreter in
        let message = try interpreter.text(of: arguments.value(0, "message") ?? .string(""))
        throw TemplateError(.raisedException, "the template refuses the conversation: \(message)")
      },
      function("strftime_now") { arguments, interpreter in
        guard case .string(let format)? = arguments.positional.first, format.utf8.count <= 200 else {
          throw interpreter.failure("'strftime_now' needs a format")
        }
        return .string(currentTime(format))
      },
    ])
  }()

  private static func currentTime(_ format: String) -> String {
    var now = time(nil)
    var parts = tm()
    localtime_r(&now, &parts)
    var buffer = [CChar](repeating: 0, count: 2048)
    let count = strftime(&buffer, buffer.count, format, &parts)
    return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

/// A message of a conversation.
public struct ChatMessage: Sendable {
  /// Who speaks: `system`, `user`, `assistant` or what the template knows besides.
  public var role: String
  /// What is said.
  public var content: String
  /// Further members, such as `tool_calls`.
  public var members: TemplateDictionary

  /// A message of text.
  public init(role: String, content: String, members: TemplateDictionary = TemplateDictionary()) {
    self.role = role
    self.content = content
    self.members = members
  }

  var value: TemplateValue {
    var dictionary = TemplateDictionary([
      (key: "role", value: .string(role)), (key: "content", value: .string(content)),
    ])
    for member in members.members { dictionary[member.key] = member.value }
    return .dictionary(dictionary)
  }
}
