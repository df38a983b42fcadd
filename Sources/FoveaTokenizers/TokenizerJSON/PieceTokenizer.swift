internal import FoveaCore

/// A tokenizer from Hugging Face's `tokenizer.json`: byte-level BPE, BPE with byte fallback, WordPiece, Unigram.
///
/// A text is cut at added tokens, normalized, cut at those that are looked for in normalized text, cut to words by the
/// pre-tokenizers, and each word to tokens by the model.
public final class PieceTokenizer: Tokenizer {
  let file: String
  let model: any TokenModel
  let normalizers: [Normalizer]
  let preTokenizers: [PreTokenizer]
  let rawMatcher: AddedTokenMatcher
  let normalizedMatcher: AddedTokenMatcher
  let postProcessor: PostProcessor
  private let decoderStages: [DecoderStage]
  private let added: AddedTokenList

  /// One more than the highest token id.
  public let vocabularySize: Int
  /// The token that begins a text, or nil where there is none.
  public let beginningOfTextToken: Int?
  /// The token that ends a text, or nil where there is none.
  public let endOfTextToken: Int?
  /// The token for what the model cannot express, or nil where there is none.
  public let unknownToken: Int?
  /// The token that fills up shorter texts of a batch, or nil where there is none.
  public let paddingToken: Int?
  /// The token whose embedding stands for a text, or nil where there is none.
  public let classificationToken: Int?
  /// The token between two texts, or nil where there is none.
  public let separatorToken: Int?
  /// The token that stands for a word to be guessed, or nil where there is none.
  public let maskToken: Int?

  /// Takes the contents of a `tokenizer.json` and joins them with what the files beside it say.
  ///
  /// - Throws: `malformedFile` where the file breaks its rules, `unsupported` where it names a component or an option that
  ///   is not known.
  package init(
    fileBytes: [UInt8], file: String, configuration: TokenizerConfiguration = TokenizerConfiguration()
  ) throws(TokenizerError) {
    let contents = try TokenizerJSONFile(fileBytes, file: file)
    let top = try ComponentReader(.object(contents.members), path: "tokenizer", file: file)
    try top.expectOnly(
      "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder")
    func component(_ key: String) throws(TokenizerError) -> ComponentReader? {
      try top.value(key).map { value throws(TokenizerError) in try ComponentReader(value, path: key, file: file) }
    }
    self.file = file
    model = try contents.model(file: file)
    let normalizers =
      try component("normalizer").map { reader throws(TokenizerError) in try Normalizer.parse(reader) } ?? []
    self.normalizers = normalizers
    preTokenizers =
      try component("pre_tokenizer").map { reader throws(TokenizerError) in try PreTokenizer.parse(reader) } ?? []
    decoderStages =
      try component("decoder").map { reader throws(TokenizerError) in try DecoderStage.parse(reader) }
      ?? [.spaced(isFirst: true)]

    added = try AddedTokenList(top, model, configuration)
    do throws(Regex.Failure) {
      rawMatcher = try AddedTokenMatcher(added.entries.filter { !$0.isNormalized }) { Array($0.text.utf8) }
      normalizedMatcher = try AddedTokenMatcher(added.entries.filter(\.isNormalized)) { entry throws(Regex.Failure) in
        var text = Array(entry.text.utf8)
        for normalizer in normalizers { try normalizer.apply(to: &text) }
        return text
      }
    } catch {
      throw TokenizerError(.malformedFile, file: file, "normalizer: \(error.reason)")
    }
    vocabularySize = max(model.vocabulary.identifierEnd, (added.entries.map(\.token).max() ?? -1) + 1)

    let roles = configuration.specialTokens
    var processor =
      try component("post_processor").map { reader throws(TokenizerError) in try PostProcessor.parse(reader) }
      ?? PostProcessor()
    classificationToken = added.token(roles.classification)
    separatorToken = added.token(roles.separator)
    paddingToken = added.token(roles.padding)
    maskToken = added.token(roles.mask)
    unknownToken = added.token(roles.unknown) ?? model.unknownSpelling.flatMap(added.token(spelled:))
    var beginning = added.token(roles.beginningOfText)
    if beginning == nil, case .unspecified = roles.beginningOfText { beginning = processor.prefix.first }
    beginningOfTextToken = beginning
    endOfTextToken = added.token(roles.endOfText)
    // As transformers: where one of the two is given, both follow the configuration.
    if configuration.settings.addsBeginningOfText != nil || configuration.settings.addsEndOfText != nil {
      let addsBeginning = configuration.settings.addsBeginningOfText ?? false
      let addsEnd = configuration.settings.addsEndOfText ?? false
      processor = PostProcessor(
        prefix: addsBeginning ? [beginning].compactMap(\.self) : [],
        suffix: addsEnd ? [endOfTextToken].compactMap(\.self) : [])
    }
    postProcessor = processor
    guard (processor.prefix + processor.suffix).allSatisfy({ $0 < vocabularySize }) else {
      throw TokenizerError(.malformedFile, file: file, "post_processor: an id is no token of the vocabulary")
    }
  }

  /// Whether encoding puts `beginningOfTextToken` in front when it adds special tokens.
  public var addsBeginningOfText: Bool {
    beginningOfTextToken != nil && postProcessor.prefix.first == beginningOfTextToken
  }

  /// The tokens that control the model instead of standing for text.
  public var specialTokens: Set<Int> { added.specialTokens }

  /// The vocabulary's spelling of a token, or nil where no token has this id.
  public func piece(of token: Int) -> String? {
    if let text = added.spelling(of: token) { return text }
    return model.vocabulary.spelling(of: token).map { String(decoding: $0, as: UTF8.self) }
  }

  /// The token with exactly this spelling, byte for byte, or nil.
  public func token(forPiece piece: String) -> Int? {
    added.token(spelled: piece)
  }

  /// Whether a token controls the model instead of standing for text.
  public func isSpecial(_ token: Int) -> Bool {
    added.specialTokens.contains(token)
  }

  /// Makes a decoder for one text that takes one token at a time.
  public func makeStreamingDetokenizer(skipSpecialTokens: Bool) -> any StreamingDetokenizer {
    PieceDetokenizer(self, stages: decoderStages, skipsSpecialTokens: skipSpecialTokens)
  }

  /// The bytes of a token's spelling.
  func spelling(of token: Int) throws(TokenizerError) -> [UInt8] {
    if let text = added.spelling(of: token) { return Array(text.utf8) }
    if let spelling = model.vocabulary.spelling(of: token) { return Array(spelling) }
    throw TokenizerError(.invalidToken, file: file, "there is no token \(token); the vocabulary has \(vocabularySize)")
  }
}
