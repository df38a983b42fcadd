// Stand-in: replaced by the tokenizers of the merge.
public import FoveaCore

/// What is wrong with a tokenizer's files, or with what it was asked to do.
public struct TokenizerError: FoveaError, Equatable {
  /// What kind of fault this is.
  public enum Kind: Sendable, Equatable {
    /// A file or folder is absent or cannot be read.
    case missingFile
    /// A file breaks its format's rules.
    case malformedFile
    /// A file is sound but asks for what Fovea cannot do.
    case unsupported
    /// The tokenizer knows more tokens than the model.
    case vocabularyMismatch
    /// No token has this id.
    case invalidToken
    /// A text is too long, or the model cannot express it.
    case unencodableText
  }

  /// What kind of fault this is.
  public let kind: Kind
  /// The file or folder at fault.
  public let file: String
  /// The culprit and what was expected of it, without the file.
  public let message: String

  /// An error about `file`.
  public init(_ kind: Kind, file: String, _ message: String) {
    self.kind = kind
    self.file = file
    self.message = message
  }

  /// One line with the file and the culprit.
  public var description: String { "\(file): \(message)" }

  /// `missingInput` for files that cannot be read, `usage` for tokens and texts of the caller, otherwise `badData`.
  public var category: FaultCategory {
    switch kind {
    case .missingFile: .missingInput
    case .malformedFile, .unsupported, .vocabularyMismatch: .badData
    case .invalidToken, .unencodableText: .usage
    }
  }
}

/// Turns text into token ids and back.
///
/// A tokenizer never changes after it was loaded: use one from any number of threads.
public protocol Tokenizer: Sendable {
  /// One more than the highest token id.
  var vocabularySize: Int { get }

  /// The token that begins a text, or nil where the tokenizer has none.
  var beginningOfTextToken: Int? { get }

  /// The token that ends a text, or nil where the tokenizer has none.
  var endOfTextToken: Int? { get }

  /// Whether `encode` puts `beginningOfTextToken` in front when it adds special tokens.
  var addsBeginningOfText: Bool { get }

  /// Splits UTF-8 bytes into tokens; bytes that are not valid UTF-8 are replaced by U+FFFD.
  ///
  /// - Parameters:
  ///   - addSpecialTokens: whether to add the beginning and end of text as the tokenizer's configuration asks for.
  ///   - parseSpecialTokens: whether the spelling of an added or special token, such as `</s>`, stands for that token.
  ///     Turn it off for text from people who must not be able to write control tokens.
  /// - Throws: `TokenizerError` for text that is too long or that the model cannot express.
  func encode(bytes: [UInt8], addSpecialTokens: Bool, parseSpecialTokens: Bool) throws(TokenizerError) -> [Int]

  /// The vocabulary's spelling of a token, as in `▁Once`, or nil where no token has this id.
  func piece(of token: Int) -> String?

  /// The token with exactly this spelling, byte for byte, or nil.
  func token(forPiece piece: String) -> Int?

  /// Whether a token controls the model instead of standing for text, as `<s>` does.
  func isSpecial(_ token: Int) -> Bool

  /// Makes a decoder for one text that takes one token at a time.
  ///
  /// - Parameter skipSpecialTokens: whether special tokens give no text, instead of their spelling.
  func makeStreamingDetokenizer(skipSpecialTokens: Bool) -> any StreamingDetokenizer
}

/// Puts a text together from tokens that come one at a time.
///
/// A piece of text never ends within a character. The pieces with the one from `finish` are the text that
/// `Tokenizer.decode` gives for all the tokens.
public protocol StreamingDetokenizer: Sendable {
  /// Takes the next token and returns the text that is certain now, which may be empty.
  ///
  /// - Throws: `TokenizerError` of kind `invalidToken` where no token has this id; the state is left as it was.
  mutating func append(_ token: Int) throws(TokenizerError) -> String

  /// Ends the text: what is left of an unfinished character becomes U+FFFD. The next token begins a new text.
  mutating func finish() -> String
}

extension Tokenizer {
  /// Splits text into tokens. See `encode(bytes:addSpecialTokens:parseSpecialTokens:)`.
  public func encode(
    _ text: String, addSpecialTokens: Bool = true, parseSpecialTokens: Bool = true
  ) throws(TokenizerError) -> [Int] {
    try encode(bytes: Array(text.utf8), addSpecialTokens: addSpecialTokens, parseSpecialTokens: parseSpecialTokens)
  }

  /// The text of `tokens`.
  ///
  /// - Throws: `TokenizerError` of kind `invalidToken` where an id belongs to no token.
  public func decode(_ tokens: [Int], skipSpecialTokens: Bool = true) throws(TokenizerError) -> String {
    var detokenizer = makeStreamingDetokenizer(skipSpecialTokens: skipSpecialTokens)
    var text = ""
    for token in tokens { text += try detokenizer.append(token) }
    return text + detokenizer.finish()
  }

  /// Makes a decoder for one text in which special tokens give no text.
  public func makeStreamingDetokenizer() -> any StreamingDetokenizer {
    makeStreamingDetokenizer(skipSpecialTokens: true)
  }

  /// Checks that a model with embeddings for `modelVocabularySize` tokens can take every token of this tokenizer.
  ///
  /// The model may have more embeddings, since checkpoints pad them to a round number.
  ///
  /// - Throws: `TokenizerError` of kind `vocabularyMismatch` that names both sizes.
  public func checkVocabulary(fitsModelOf modelVocabularySize: Int, folder: String) throws(TokenizerError) {
    guard vocabularySize > modelVocabularySize else { return }
    throw TokenizerError(
      .vocabularyMismatch, file: folder,
      "the tokenizer has \(vocabularySize) tokens but the model has embeddings for \(modelVocabularySize)")
  }
}

/// Stand-in: `<unk>`, `<s>`, `</s>`, then one token for each byte.
private struct ByteTokenizer: Tokenizer {
  let vocabularySize = 259
  let beginningOfTextToken: Int? = 1
  let endOfTextToken: Int? = 2
  let addsBeginningOfText = true

  func encode(bytes: [UInt8], addSpecialTokens: Bool, parseSpecialTokens: Bool) throws(TokenizerError) -> [Int] {
    (addSpecialTokens ? [1] : []) + bytes.map { Int($0) + 3 }
  }
  func piece(of token: Int) -> String? { token < vocabularySize ? "byte \(token - 3)" : nil }
  func token(forPiece piece: String) -> Int? { nil }
  func isSpecial(_ token: Int) -> Bool { token < 3 }
  func makeStreamingDetokenizer(skipSpecialTokens: Bool) -> any StreamingDetokenizer { ByteDetokenizer() }
}

private struct ByteDetokenizer: StreamingDetokenizer {
  mutating func append(_ token: Int) throws(TokenizerError) -> String {
    token < 3 ? "" : String(UnicodeScalar(UInt8(truncatingIfNeeded: token - 3) & 0x7F))
  }
  mutating func finish() -> String { "" }
}

/// Stand-in.
public func loadTokenizer(folder: String) throws(TokenizerError) -> any Tokenizer { ByteTokenizer() }
