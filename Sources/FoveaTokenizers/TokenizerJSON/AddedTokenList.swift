internal import FoveaCore

/// All tokens that are found by their spelling, from `tokenizer.json` and the files beside it.
struct AddedTokenList: Sendable {
  private(set) var entries: [AddedTokenEntry] = []
  private(set) var specialTokens: Set<Int> = []
  private var indicesByText: [ExactString: Int] = [:]
  private var indicesByToken: [Int: Int] = [:]
  private let vocabulary: Vocabulary

  /// - Throws: `malformedFile` where an entry contradicts the vocabulary or another entry.
  init(
    _ reader: ComponentReader, _ model: any TokenModel, _ configuration: TokenizerConfiguration
  ) throws(TokenizerError) {
    vocabulary = model.vocabulary
    if reader.value("added_tokens") != nil {
      for entry in try reader.components("added_tokens") {
        try entry.expectOnly("id", "content", "single_word", "lstrip", "rstrip", "normalized", "special")
        let isSpecial = try entry.bool("special", default: false)
        try add(
          AddedTokenEntry(
            token: try entry.count("id"), text: try entry.string("content"), isSpecial: isSpecial,
            isSingleWord: try entry.bool("single_word", default: false),
            stripsLeft: try entry.bool("lstrip", default: false), stripsRight: try entry.bool("rstrip", default: false),
            isNormalized: try entry.bool("normalized", default: !isSpecial)), reader.file)
      }
    }
    let listed = configuration.settings.addedTokens.sorted { (Int($0.key) ?? 0) < (Int($1.key) ?? 0) }
    for (key, value) in listed {
      guard let token = Int(key) else {
        throw TokenizerError(
          .malformedFile, file: configuration.file, "added_tokens_decoder: \(String(reflecting: key)) is no token id")
      }
      let isSpecial = value.isSpecial ?? false
      try add(
        AddedTokenEntry(
          token: token, text: value.text, isSpecial: isSpecial, isSingleWord: value.matchesWholeWordsOnly ?? false,
          stripsLeft: value.stripsLeft ?? false, stripsRight: value.stripsRight ?? false,
          isNormalized: value.isNormalized ?? !isSpecial), configuration.file)
    }
    let roles = configuration.specialTokens
    let named = [
      roles.beginningOfText, roles.endOfText, roles.unknown, roles.padding, roles.separator, roles.classification,
      roles.mask,
    ].compactMap { if case .token(let text) = $0 { text } else { nil } }
    for text in named + roles.others {
      // Those that are not in the vocabulary, as a padding token may be, can stand in no text.
      guard let token = token(spelled: text) else { continue }
      specialTokens.insert(token)
      if let index = indicesByToken[token] {
        entries[index].isSpecial = true
      } else {
        try add(AddedTokenEntry(token: token, text: text, isSpecial: true), configuration.file)
      }
    }
  }

  private mutating func add(_ entry: AddedTokenEntry, _ file: String) throws(TokenizerError) {
    func malformed(_ message: String) -> TokenizerError {
      TokenizerError(.malformedFile, file: file, "added token \(entry.token) \(message)")
    }
    guard !entry.text.isEmpty else { throw malformed("is empty") }
    guard (0...Vocabulary.identifierLimit).contains(entry.token) else {
      throw malformed("has an id that is larger than \(Vocabulary.identifierLimit)")
    }
    let text = ExactString(entry.text)
    let shown = "\"\(printable(entry.text, limit: 60))\""
    if let known = vocabulary.identifier(of: entry.text), Int(known) != entry.token {
      throw malformed("is \(shown), which is token \(known) of the vocabulary")
    }
    if let spelling = vocabulary.spelling(of: entry.token), !spelling.elementsEqual(entry.text.utf8) {
      throw malformed("is \(shown), but the vocabulary has another token of this id")
    }
    if let index = indicesByText[text] {
      guard entries[index].token == entry.token else {
        throw malformed("is \(shown), as is token \(entries[index].token)")
      }
      // The later file says how it is found; what was special stays so.
      let isSpecial = entries[index].isSpecial || entry.isSpecial
      entries[index] = entry
      entries[index].isSpecial = isSpecial
    } else {
      guard indicesByToken[entry.token] == nil else { throw malformed("has two spellings, \(shown) is one") }
      indicesByText[text] = entries.count
      indicesByToken[entry.token] = entries.count
      entries.append(entry)
    }
    if entry.isSpecial { specialTokens.insert(entry.token) }
  }

  /// The token with this spelling, added or of the vocabulary.
  func token(spelled text: String) -> Int? {
    if let index = indicesByText[ExactString(text)] { return entries[index].token }
    return vocabulary.identifier(of: text).map { Int($0) }
  }

  /// The token that has a role.
  func token(_ role: TokenizerConfiguration.SpecialTokens.Role) -> Int? {
    guard case .token(let text) = role else { return nil }
    return token(spelled: text)
  }

  /// The spelling of an added token.
  func spelling(of token: Int) -> String? {
    indicesByToken[token].map { entries[$0].text }
  }
}
