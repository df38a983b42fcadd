import Fovea

/// One line of what `fovea score` reads.
struct ScoreRequest {
  /// What is asked.
  enum Task {
    /// One continuation.
    case continuation(ContinuationRequest)
    /// A text, in windows.
    case rolling(windows: [ContinuationRequest], size: TextSize?)
    /// The likeliest of several continuations, with their lengths in characters and bytes.
    case choices([ContinuationRequest], characterCounts: [Int], byteCounts: [Int])
  }

  let task: Task
  /// Given back as it came.
  let id: String?

  /// The parts to score, in order.
  var parts: [ContinuationRequest] {
    switch task {
    case .continuation(let request): [request]
    case .rolling(let windows, _): windows
    case .choices(let requests, _, _): requests
    }
  }
}

/// Reads requests by a tokenizer's and a model's rules.
struct ScoreRequestReader {
  /// Nil for a folder without a tokenizer, where only tokens can be given.
  let encoding: ContinuationEncoding?
  let prefixToken: Int?
  let contextLength: Int

  /// The request of one line.
  ///
  /// - Throws: `CommandError` of category `badData` that says what is missing; what the tokenizer throws.
  func request(_ members: [String: JSONValue]) throws -> ScoreRequest {
    let id: String? =
      switch members["id"] {
      case .string(let text)?: text
      case .number(let text)?: text
      default: nil
      }
    return ScoreRequest(task: try task(members), id: id)
  }

  private func task(_ members: [String: JSONValue]) throws -> ScoreRequest.Task {
    if members["choices"] != nil { return try choices(members) }
    if members["continuation_tokens"] != nil {
      return .continuation(
        ContinuationRequest(
          context: try tokens(members, "context_tokens"), continuation: try tokens(members, "continuation_tokens")))
    }
    if members["text_tokens"] != nil { return try rolling(tokens(members, "text_tokens"), size: nil) }
    if members["text"] != nil {
      let text = try text(members, "text")
      return try rolling(try textEncoding().tokens(of: text), size: TextSize(text))
    }
    guard members["continuation"] != nil else {
      throw CommandError(.badData, "expected context and continuation, context and choices, or text")
    }
    return .continuation(try pair(text(members, "context"), text(members, "continuation")))
  }

  private func choices(_ members: [String: JSONValue]) throws -> ScoreRequest.Task {
    guard case .array(let values)? = members["choices"], !values.isEmpty else {
      throw CommandError(.badData, "\"choices\" is no list of strings")
    }
    let context = try text(members, "context")
    let delimiter = members["delimiter"] == nil ? "" : try text(members, "delimiter")
    let texts = try values.map { value in
      guard case .string(let text) = value else { throw CommandError(.badData, "\"choices\" is no list of strings") }
      return text
    }
    // Lengths without the delimiter, as lm-eval normalises.
    return .choices(
      try texts.map { try pair(context, delimiter + $0) }, characterCounts: texts.map(\.unicodeScalars.count),
      byteCounts: texts.map(\.utf8.count))
  }

  private func pair(_ context: String, _ continuation: String) throws -> ContinuationRequest {
    let (first, second) = try textEncoding().tokens(context: context, continuation: continuation)
    return ContinuationRequest(context: first, continuation: second)
  }

  private func rolling(_ tokens: [Int], size: TextSize?) throws -> ScoreRequest.Task {
    guard !tokens.isEmpty else { return .rolling(windows: [], size: size) }
    let plan = try EvaluationPlan(
      .rolling, text: EvaluationText(documents: [tokens], size: size, beginningOfTextToken: prefixToken),
      contextLength: contextLength, modelContextLength: contextLength)
    return .rolling(
      windows: plan.windows.map { window in
        let (tokens, firstScored) = plan.tokens(of: window)
        return ContinuationRequest(
          context: Array(tokens[..<firstScored]), continuation: Array(tokens[firstScored...]))
      }, size: size)
  }

  private func textEncoding() throws -> ContinuationEncoding {
    guard let encoding else {
      throw CommandError(.badData, "the model's folder has no tokenizer that Fovea can read: give tokens")
    }
    return encoding
  }

  private func text(_ members: [String: JSONValue], _ name: String) throws -> String {
    guard case .string(let text)? = members[name] else {
      throw CommandError(.badData, "\"\(name)\" is not there or no string")
    }
    return text
  }

  private func tokens(_ members: [String: JSONValue], _ name: String) throws -> [Int] {
    guard case .array(let values)? = members[name] else {
      throw CommandError(.badData, "\"\(name)\" is not there or no list of token ids")
    }
    return try values.map { value in
      guard let token = value.integer else {
        throw CommandError(.badData, "\"\(name)\" holds \(value.summary), expected a token id")
      }
      return token
    }
  }
}
