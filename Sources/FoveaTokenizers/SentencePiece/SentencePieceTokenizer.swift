/// A tokenizer from a SentencePiece model (BPE or Unigram), used as Hugging Face's LlamaTokenizer uses it.
///
/// Encoding is libsentencepiece's; everything around it, special tokens and decoding, is done here.
public final class SentencePieceTokenizer: Tokenizer {
  package let encoder: SentencePieceEncoder
  let splitter: AddedTokenSplitter
  let convention: EncodingConvention
  let leadingSpace: SentencePieceDetokenizer.LeadingSpace
  let addsEndOfText: Bool
  private let model: SentencePieceModel
  private let file: String
  private let tokensByPiece: [ExactString: Int]
  /// The added tokens that have no piece in the model or replace it.
  private let tokensBesideModel: [Int: AddedToken]

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
  /// The token whose hidden state stands for a text, or nil where there is none.
  public let classificationToken: Int?
  /// The token between two texts, or nil where there is none.
  public let separatorToken: Int?
  /// The token that stands for a word to be guessed, or nil where there is none.
  public let maskToken: Int?
  /// The tokens that control the model instead of standing for text.
  public let specialTokens: Set<Int>
  /// Whether encoding puts `beginningOfTextToken` in front when it adds special tokens.
  public let addsBeginningOfText: Bool

  /// Takes the contents of a `.model` file, checks them and joins them with what the files beside it say.
  package init(
    modelBytes: [UInt8], file: String, configuration: TokenizerConfiguration = TokenizerConfiguration()
  ) throws(TokenizerError) {
    var model = try SentencePieceModel(parsing: modelBytes, file: file)
    let vocabulary = try AddedVocabulary(model, configuration)
    self.file = file
    beginningOfTextToken = vocabulary.beginningOfTextToken
    endOfTextToken = vocabulary.endOfTextToken
    addsBeginningOfText = beginningOfTextToken != nil && configuration.settings.addsBeginningOfText ?? true
    addsEndOfText = endOfTextToken != nil && configuration.settings.addsEndOfText ?? false
    func token(_ role: TokenizerConfiguration.SpecialTokens.Role) -> Int? {
      guard case .token(let text) = role else { return nil }
      return vocabulary.tokensByPiece[ExactString(text)]
    }
    unknownToken = token(configuration.specialTokens.unknown) ?? model.pieces.firstIndex { $0.kind == .unknown }
    paddingToken = token(configuration.specialTokens.padding)
    classificationToken = token(configuration.specialTokens.classification)
    separatorToken = token(configuration.specialTokens.separator)
    maskToken = token(configuration.specialTokens.mask)
    splitter = AddedTokenSplitter(vocabulary.addedTokens)
    tokensByPiece = vocabulary.tokensByPiece
    tokensBesideModel = vocabulary.tokensBesideModel
    specialTokens = vocabulary.specialTokens
    vocabularySize = max(model.pieces.count, (tokensBesideModel.keys.max() ?? 0) + 1)

    let isLegacy = configuration.settings.isLegacy ?? true
    let addsPrefixSpace = configuration.settings.addsPrefixSpace ?? true
    if !isLegacy, !configuration.isGemma {
      // The convention puts its own space before the text.
      leadingSpace = addsPrefixSpace ? model.leadingSpace : .kept
      model.addsDummyPrefix = false
      encoder = try SentencePieceEncoder(model, file: file)
      let unknownSpelling = Array(vocabulary.unknownSpelling.utf8)
      convention = .prefixOnce(
        addsSpace: addsPrefixSpace, guardBytes: unknownSpelling,
        guardTokenCount: try encoder.encode(unknownSpelling).count, roleTokens: vocabulary.roleTokens)
    } else {
      leadingSpace = model.leadingSpace
      encoder = try SentencePieceEncoder(model, file: file)
      convention = .prefixEverySegment
    }
    self.model = model
  }

  /// The vocabulary's spelling of a token, or nil where no token has this id.
  public func piece(of token: Int) -> String? {
    if let added = tokensBesideModel[token] { return added.text }
    return model.pieces.indices.contains(token) ? model.pieces[token].text : nil
  }

  /// The token with exactly this spelling, byte for byte, or nil.
  public func token(forPiece piece: String) -> Int? {
    tokensByPiece[ExactString(piece)]
  }

  /// Whether a token controls the model instead of standing for text.
  public func isSpecial(_ token: Int) -> Bool {
    specialTokens.contains(token)
  }

  /// Makes a decoder for one text that takes one token at a time.
  public func makeStreamingDetokenizer(skipSpecialTokens: Bool) -> any StreamingDetokenizer {
    SentencePieceDetokenizer(self, skipsSpecialTokens: skipSpecialTokens)
  }

  /// What `token` adds to a text.
  func fragment(
    of token: Int, skipsSpecialTokens: Bool
  ) throws(TokenizerError) -> SentencePieceDetokenizer.Fragment {
    if let added = tokensBesideModel[token] {
      return .verbatim(skipsSpecialTokens && specialTokens.contains(token) ? "" : added.text)
    }
    guard model.pieces.indices.contains(token) else {
      throw TokenizerError(
        .invalidToken, file: file, "there is no token \(token); the vocabulary has \(vocabularySize)")
    }
    let piece = model.pieces[token]
    switch piece.kind {
    case .unknown: return .verbatim(model.unknownSurface)
    case .control: return .verbatim(skipsSpecialTokens ? "" : piece.text)
    case .byte: return piece.byte.map { .byte($0) } ?? .piece(piece.text)
    case .normal, .userDefined, .unused:
      // An added special token, such as one that a fine-tuning made of a piece that was there.
      return skipsSpecialTokens && specialTokens.contains(token) ? .verbatim("") : .piece(piece.text)
    }
  }
}

extension SentencePieceModel {
  /// What decoding does with the space before a text.
  fileprivate var leadingSpace: SentencePieceDetokenizer.LeadingSpace {
    if removesExtraWhitespaces { return .droppedRepeatedly }
    return addsDummyPrefix ? .dropped : .kept
  }
}
