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

  /// The token for what the tokenizer cannot express, or nil where it has none.
  var unknownToken: Int? { get }

  /// The token that fills up shorter texts of a batch, or nil where the tokenizer has none.
  var paddingToken: Int? { get }

  /// The token whose hidden state stands for a text, or nil where the tokenizer has none.
  var classificationToken: Int? { get }

  /// The token between two texts, or nil where the tokenizer has none.
  var separatorToken: Int? { get }

  /// The token that stands for a word to be guessed, or nil where the tokenizer has none.
  var maskToken: Int? { get }

  /// All tokens that control the model instead of standing for text.
  var specialTokens: Set<Int> { get }

  /// Whether `encode` puts `beginningOfTextToken` in front when it adds special tokens.
  var addsBeginningOfText: Bool { get }

  /// Splits UTF-8 bytes into tokens; bytes that are not valid UTF-8 are replaced by U+FFFD.
  ///
  /// - Parameters:
  ///   - addSpecialTokens: whether to add the beginning and end of text as the tokenizer's configuration asks for.
  ///   - parseSpecialTokens: whether the spelling of an added or special token, such as `</s>`, stands for that token.
  ///     Turn it off for text from people who must not be able to write control tokens. With a `tokenizer.json`, added
  ///     tokens that are not special are text, and are found in any case.
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
  /// Nil, for tokenizers without roles beyond the beginning and the end of a text.
  public var unknownToken: Int? { nil }

  /// Nil, for tokenizers without roles beyond the beginning and the end of a text.
  public var paddingToken: Int? { nil }

  /// Nil, for tokenizers without roles beyond the beginning and the end of a text.
  public var classificationToken: Int? { nil }

  /// Nil, for tokenizers without roles beyond the beginning and the end of a text.
  public var separatorToken: Int? { nil }

  /// Nil, for tokenizers without roles beyond the beginning and the end of a text.
  public var maskToken: Int? { nil }

  /// The tokens for which `isSpecial` is true.
  public var specialTokens: Set<Int> { Set((0..<vocabularySize).filter(isSpecial)) }

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
