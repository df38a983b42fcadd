import Fovea

/// The texts that `fovea embed` gets.
struct EmbedInput {
  /// What is embedded: texts, or their token ids.
  enum Items {
    case texts([String])
    case tokens([[Int]])

    var count: Int {
      switch self {
      case .texts(let texts): texts.count
      case .tokens(let tokens): tokens.count
      }
    }
  }

  var items: Items
  /// The `id` of each object of JSON lines, as it is spelled.
  var ids: [String?]

  /// Texts of the command line.
  init(texts: [String]) {
    self.init(items: .texts(texts), ids: Array(repeating: nil, count: texts.count))
  }

  private init(items: Items, ids: [String?]) {
    self.items = items
    self.ids = ids
  }

  /// Lines of a file, each a text, an object with one, or token ids. The end of the last line begins no text.
  ///
  /// - Throws: `CommandError` of category `badData` that names the line.
  init(_ file: InputFile, isJSONL: Bool, areTokens: Bool) throws {
    if isJSONL {
      try self.init(objects: file)
      return
    }
    // By bytes: to Swift a carriage return and a line feed are one character.
    var lines = try file.text().utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)[...]
    if lines.last?.isEmpty == true { lines = lines.dropLast() }
    let ids = [String?](repeating: nil, count: lines.count)
    guard areTokens else {
      self.init(
        items: .texts(lines.map { String(Substring($0.last == UInt8(ascii: "\r") ? $0.dropLast() : $0)) }), ids: ids)
      return
    }
    let tokens =
      try lines.enumerated().map { index, line in
        try Substring(line).split(whereSeparator: { " ,[]\t\r".contains($0) }).map { word in
          guard let token = Int(word) else {
            throw CommandError(
              .badData, "\(file.name): line \(index + 1): \"\(printable(String(word)))\" is no token id")
          }
          return token
        }
      }
    self.init(items: .tokens(tokens), ids: ids)
  }

  private init(objects file: InputFile) throws {
    var texts: [String] = []
    ids = []
    for (number, members) in try file.jsonLines() {
      guard case .string(let text)? = members["text"] else {
        throw CommandError(.badData, "\(file.name): line \(number): \"text\" is not there or no string")
      }
      texts.append(text)
      switch members["id"] {
      case .string(let id)?: ids.append(id)
      case .number(let id)?: ids.append(id)
      default: ids.append(nil)
      }
    }
    items = .texts(texts)
  }
}

extension TextEmbedder {
  /// The token ids that the model gets of some of the items.
  func tokens(_ items: EmbedInput.Items, _ range: Range<Int>, prompt: EmbeddingPrompt) throws -> [[Int]] {
    switch items {
    case .texts(let texts): try texts[range].map { try tokens(of: $0, prompt: prompt) }
    case .tokens(let tokens): tokens[range].map { Array($0.prefix(sequenceLengthLimit)) }
    }
  }

  /// The vectors of some of the items, on the calling thread.
  func embedNow(
    _ items: EmbedInput.Items, _ range: Range<Int>, prompt: EmbeddingPrompt, options: EmbeddingOptions,
    progress: ((EmbeddingProgress) throws -> Void)?
  ) throws -> [Embedding] {
    switch items {
    case .texts(let texts): try embedNow(Array(texts[range]), prompt: prompt, options: options, progress: progress)
    case .tokens(let tokens): try embedNow(tokens: Array(tokens[range]), options: options, progress: progress)
    }
  }
}
