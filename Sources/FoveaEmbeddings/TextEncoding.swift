internal import FoveaCore
internal import FoveaTokenizers
internal import Synchronization

/// A text as the model gets it.
struct EncodedText: Sendable {
  var tokens: [Int]
  /// How many tokens were cut off.
  var truncatedCount: Int
  /// How many tokens from the first on belong to the prompt, if those do not count in pooling.
  var promptLength: Int
}

/// A tokenizer with a prompt.
struct TextEncoder: Sendable {
  let tokenizer: any Tokenizer
  let prompt: String
  /// Tokens from the first on that pooling leaves out.
  let promptLength: Int
  let lowersCase: Bool

  /// At most `limit` tokens: what is too much is cut off the text's end, before the special tokens that close it.
  func encode(_ text: String, limit: Int) throws(TokenizerError) -> EncodedText {
    let whole = lowered(prompt + text)
    var tokens = try tokenizer.encode(whole)
    var cut = 0
    if tokens.count > limit {
      let plain = try tokenizer.encode(whole, addSpecialTokens: false)
      let (prefix, suffix) = Self.specialTokens(around: plain, in: tokens)
      let kept = max(0, limit - prefix.count - suffix.count)
      cut = plain.count - min(kept, plain.count)
      tokens = Array((prefix + plain.prefix(kept) + suffix).prefix(limit))
    }
    return EncodedText(tokens: tokens, truncatedCount: cut, promptLength: min(promptLength, max(0, tokens.count - 1)))
  }

  private func lowered(_ text: String) -> String {
    guard lowersCase else { return text }
    var result = ""
    for scalar in text.unicodeScalars { result += scalar.properties.lowercaseMapping }
    return result
  }

  /// What a tokenizer put before and behind `plain`.
  static func specialTokens(around plain: [Int], in tokens: [Int]) -> (prefix: [Int], suffix: [Int]) {
    let count = tokens.count - plain.count
    guard count > 0 else { return ([], []) }
    for first in 0...count where tokens[first..<first + plain.count].elementsEqual(plain) {
      return (Array(tokens[..<first]), Array(tokens[(first + plain.count)...]))
    }
    return ([], [])
  }
}

extension TextEmbedder {
  /// The tokens that the model gets of `text`, cut to what it allows.
  ///
  /// - Throws: ``EmbeddingError`` for an unknown prompt; `TokenizerError`.
  public func tokens(of text: String, prompt: EmbeddingPrompt = .modelDefault) throws -> [Int] {
    try encoder(prompt: prompt).encode(text, limit: sequenceLengthLimit).tokens
  }

  /// The tokenizer with what is put before texts.
  func encoder(prompt: EmbeddingPrompt) throws -> TextEncoder {
    let text: String
    switch prompt {
    case .none: text = ""
    case .text(let given): text = given
    case .modelDefault: text = defaultPromptName.flatMap { prompts[$0] } ?? ""
    case .named(let name):
      guard let found = prompts[name] else {
        let known = prompts.keys.sorted().map { "'\($0)'" }.joined(separator: ", ")
        throw EmbeddingError(
          .unknownPrompt,
          "the model has no prompt '\(printable(name))'; it has \(known.isEmpty ? "none" : known)")
      }
      text = found
    }
    let tokenizer = try tokenizer.get()
    var promptLength = 0
    if !layout.poolsPrompt, !text.isEmpty {
      // As sentence-transformers: the prompt alone, without a special token at its end.
      let tokens = try tokenizer.encode(text)
      promptLength = tokens.count - (tokens.last.map(tokenizer.isSpecial) == true ? 1 : 0)
    }
    return TextEncoder(
      tokenizer: tokenizer, prompt: text, promptLength: promptLength, lowersCase: layout.lowersCase)
  }

  /// Splits texts into tokens on the stream's threads.
  func encode(
    _ texts: ArraySlice<String>, first: Int, _ encoder: TextEncoder, _ options: EmbeddingOptions
  ) throws -> [EncodedText] {
    let limit = sequenceLengthLimit
    let grain = 8
    let pieceCount = (texts.count + grain - 1) / grain
    let results = Mutex<[Result<[EncodedText], TokenizerError>?]>(Array(repeating: nil, count: pieceCount))
    stream.run {
      stream.forEachPiece(pieceCount) { piece, _ in
        let begin = texts.startIndex + piece * grain
        let result = Result { () throws(TokenizerError) in
          var part: [EncodedText] = []
          for text in texts[begin..<min(texts.endIndex, begin + grain)] {
            part.append(try encoder.encode(text, limit: limit))
          }
          return part
        }
        results.withLock { $0[piece] = result }
      }
    }
    let encoded = try results.withLock { $0 }.flatMap { try $0?.get() ?? [] }
    for (index, text) in encoded.enumerated() { try refuseTruncation(of: text, number: first + index, options) }
    return encoded
  }

  func refuseTruncation(of text: EncodedText, number: Int, _ options: EmbeddingOptions) throws(EmbeddingError) {
    guard options.refusesTruncation, text.truncatedCount > 0 else { return }
    throw EmbeddingError(
      .textTooLong,
      "text \(number + 1) has \(text.tokens.count + text.truncatedCount) tokens, but the model allows "
        + "\(sequenceLengthLimit)")
  }
}
