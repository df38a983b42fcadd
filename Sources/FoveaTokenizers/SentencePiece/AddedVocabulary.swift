/// The tokens that the files beside a SentencePiece model add to it, and the roles that they give to tokens.
struct AddedVocabulary {
  /// All tokens whose spelling in a text stands for them.
  private(set) var addedTokens: [AddedToken] = []
  /// The added tokens that have no piece in the model or replace it.
  private(set) var tokensBesideModel: [Int: AddedToken] = [:]
  private(set) var tokensByPiece: [ExactString: Int] = [:]
  private(set) var specialTokens: Set<Int> = []
  /// The tokens with a role (beginning, end, unknown, padding, additional), Hugging Face's `all_special_tokens`.
  private(set) var roleTokens: Set<Int> = []
  private(set) var beginningOfTextToken: Int?
  private(set) var endOfTextToken: Int?
  /// How the unknown token is written in a text.
  private(set) var unknownSpelling = "<unk>"
  /// The ids that were given to added tokens so far.
  private var identifiers: [ExactString: Int] = [:]

  /// - Throws: `malformedFile` where the files contradict each other, `unsupported` for a class or flag that would change
  ///   the tokens in a way that is not implemented.
  init(_ model: SentencePieceModel, _ configuration: TokenizerConfiguration) throws(TokenizerError) {
    try configuration.checkTokenizerClass()
    tokensByPiece.reserveCapacity(model.pieces.count)
    for (token, piece) in model.pieces.enumerated() {
      tokensByPiece[ExactString(piece.text)] = token
      if piece.kind == .control { specialTokens.insert(token) }
    }
    for token in try configuration.tokensWithIdentifiers() { try add(token, model, configuration.file) }

    let roles = configuration.specialTokens
    beginningOfTextToken = try token(
      in: roles.beginningOfText, default: configuration.isGemma ? "<bos>" : "<s>", "bos_token", configuration.file)
    endOfTextToken = try token(
      in: roles.endOfText, default: configuration.isGemma ? "<eos>" : "</s>", "eos_token", configuration.file)
    // Without a class the model's own are meant: Gemma's vocabulary holds <s> as a piece of HTML.
    let hasClass = configuration.settings.tokenizerClass != nil
    if case .unspecified = roles.beginningOfText, beginningOfTextToken == nil || !hasClass {
      beginningOfTextToken = model.token(model.beginningOfTextPiece, kind: .control) ?? beginningOfTextToken
    }
    if case .unspecified = roles.endOfText, endOfTextToken == nil || !hasClass {
      endOfTextToken = model.token(model.endOfTextPiece, kind: .control) ?? endOfTextToken
    }
    if case .token(let text) = roles.unknown { unknownSpelling = text }

    for token in [beginningOfTextToken, endOfTextToken].compactMap(\.self) { addSpecial(token, model) }
    // Those that are not in the vocabulary, as a padding token may be, can stand in no text.
    for text in roles.others + [unknownSpelling] {
      if let token = tokensByPiece[ExactString(text)] { addSpecial(token, model) }
    }
  }

  private mutating func add(_ token: AddedToken, _ model: SentencePieceModel, _ file: String) throws(TokenizerError) {
    let text = ExactString(token.text)
    guard !token.text.isEmpty else {
      throw TokenizerError(.malformedFile, file: file, "added token \(token.token) is empty")
    }
    if let first = identifiers.updateValue(token.token, forKey: text) {
      // The same token may stand in two files.
      guard first == token.token else {
        throw TokenizerError(
          .malformedFile, file: file,
          "\(String(reflecting: token.text)) is added as token \(first) and as \(token.token)")
      }
      return
    }
    guard tokensBesideModel[token.token] == nil else {
      throw TokenizerError(.malformedFile, file: file, "token \(token.token) is added with two spellings")
    }
    let piece = model.pieces.indices.contains(token.token) ? model.pieces[token.token] : nil
    if piece.map({ ExactString($0.text) }) != text {
      tokensBesideModel[token.token] = token
      specialTokens.remove(token.token)
    }
    tokensByPiece[text] = token.token
    addedTokens.append(token)
    if token.isSpecial, piece?.kind != .unknown { specialTokens.insert(token.token) }
  }

  private mutating func addSpecial(_ token: Int, _ model: SentencePieceModel) {
    roleTokens.insert(token)
    let isUnknown = model.pieces.indices.contains(token) && model.pieces[token].kind == .unknown
    if !isUnknown { specialTokens.insert(token) }
    guard !addedTokens.contains(where: { $0.token == token }) else { return }
    addedTokens.append(AddedToken(token: token, text: model.pieces[token].text, isSpecial: true))
  }

  private func token(
    in role: TokenizerConfiguration.SpecialTokens.Role, default: String, _ key: String, _ file: String
  ) throws(TokenizerError) -> Int? {
    switch role {
    case .none: return nil
    case .unspecified: return tokensByPiece[ExactString(`default`)]
    case .token(let text):
      guard let token = tokensByPiece[ExactString(text)] else {
        throw TokenizerError(
          .malformedFile, file: file, "\(key) is \(String(reflecting: text)), which the vocabulary does not hold")
      }
      return token
    }
  }
}

extension TokenizerConfiguration {
  /// Whether the conventions are those of Gemma: other spellings of the special tokens, and no space before the text.
  var isGemma: Bool { settings.tokenizerClass?.hasPrefix("Gemma") ?? false }

  /// Refuses classes that may number the pieces of a `tokenizer.model` otherwise, as XLMRobertaTokenizer does.
  fileprivate func checkTokenizerClass() throws(TokenizerError) {
    let known = ["LlamaTokenizer", "LlamaTokenizerFast", "GemmaTokenizer", "GemmaTokenizerFast"]
    guard let name = settings.tokenizerClass, !known.contains(name) else { return }
    throw TokenizerError(
      .unsupported, file: file,
      "tokenizer_class is \(String(reflecting: name)), expected one of \(known.joined(separator: ", "))")
  }

  /// The tokens to which `added_tokens_decoder` and `added_tokens.json` give ids, in the order of these.
  fileprivate func tokensWithIdentifiers() throws(TokenizerError) -> [AddedToken] {
    let identifiers = 0...Int(Int32.max)
    var tokens: [AddedToken] = []
    for (key, entry) in settings.addedTokens {
      guard let token = Int(key), identifiers.contains(token) else {
        throw TokenizerError(
          .malformedFile, file: file, "added_tokens_decoder: \(String(reflecting: key)) is no token id")
      }
      guard entry.matchesWholeWordsOnly != true else {
        throw TokenizerError(.unsupported, file: file, "added_tokens_decoder.\(key): single_word is true")
      }
      tokens.append(
        AddedToken(
          token: token, text: entry.text, isSpecial: entry.isSpecial ?? false, stripsLeft: entry.stripsLeft ?? false,
          stripsRight: entry.stripsRight ?? false))
    }
    let listed = tokens.count
    for (text, token) in addedTokens {
      guard identifiers.contains(token) else {
        throw TokenizerError(.malformedFile, file: file, "added_tokens.json: \(token) is no token id")
      }
      tokens.append(AddedToken(token: token, text: text, isSpecial: false))
    }
    return tokens[..<listed].sorted { $0.token < $1.token } + tokens[listed...].sorted { $0.token < $1.token }
  }
}
