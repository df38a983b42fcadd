#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// What Hugging Face's files beside a vocabulary say: `tokenizer_config.json`, `special_tokens_map.json`,
/// `added_tokens.json`. Each may be absent.
package struct TokenizerConfiguration: Sendable {
  /// `tokenizer_config.json`; all nil where there is none.
  var settings = Settings()
  /// `added_tokens.json`: ids by spelling.
  var addedTokens: [String: Int] = [:]
  /// `special_tokens_map.json`.
  var specialTokens = SpecialTokens()
  /// The file that `settings` came from, for errors.
  var file = "tokenizer_config.json"

  /// What a folder without these files says.
  package init() {}

  /// Reads what `folder` holds.
  init(folder: String) throws(TokenizerError) {
    file = folder + "/tokenizer_config.json"
    if let settings = try decodeTokenizerFile(Settings.self, file) {
      self.settings = settings
      specialTokens = settings.specialTokens
    }
    if let map = try decodeTokenizerFile(SpecialTokens.self, folder + "/special_tokens_map.json") {
      specialTokens = specialTokens.completed(by: map)
    }
    addedTokens = try decodeTokenizerFile([String: Int].self, folder + "/added_tokens.json") ?? [:]
  }
}

extension TokenizerConfiguration {
  /// The keys of `tokenizer_config.json` that matter here.
  struct Settings: Decodable, Sendable {
    var tokenizerClass: String?
    var addsBeginningOfText: Bool?
    var addsEndOfText: Bool?
    var addsPrefixSpace: Bool?
    var isLegacy: Bool?
    var addedTokens: [String: AddedTokenEntry] = [:]
    var specialTokens = SpecialTokens()

    init() {}

    enum CodingKeys: String, CodingKey {
      case tokenizerClass = "tokenizer_class"
      case addsBeginningOfText = "add_bos_token"
      case addsEndOfText = "add_eos_token"
      case addsPrefixSpace = "add_prefix_space"
      case isLegacy = "legacy"
      case addedTokens = "added_tokens_decoder"
    }

    init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: CodingKeys.self)
      tokenizerClass = try values.decodeIfPresent(String.self, forKey: .tokenizerClass)
      addsBeginningOfText = try values.decodeIfPresent(Bool.self, forKey: .addsBeginningOfText)
      addsEndOfText = try values.decodeIfPresent(Bool.self, forKey: .addsEndOfText)
      addsPrefixSpace = try values.decodeIfPresent(Bool.self, forKey: .addsPrefixSpace)
      isLegacy = try values.decodeIfPresent(Bool.self, forKey: .isLegacy)
      addedTokens = try values.decodeIfPresent([String: AddedTokenEntry].self, forKey: .addedTokens) ?? [:]
      specialTokens = try SpecialTokens(from: decoder)
    }
  }

  /// A value of `added_tokens_decoder`.
  struct AddedTokenEntry: Decodable, Sendable {
    var text: String
    var isSpecial: Bool?
    var stripsLeft: Bool?
    var stripsRight: Bool?
    var matchesWholeWordsOnly: Bool?
    var isNormalized: Bool?

    enum CodingKeys: String, CodingKey {
      case text = "content"
      case isSpecial = "special"
      case stripsLeft = "lstrip"
      case stripsRight = "rstrip"
      case matchesWholeWordsOnly = "single_word"
      case isNormalized = "normalized"
    }
  }

  /// The special tokens by their roles, in `tokenizer_config.json` and in `special_tokens_map.json`.
  struct SpecialTokens: Decodable, Sendable {
    /// What a file says of a role: nothing, that there is no such token, or its spelling.
    enum Role: Sendable {
      case unspecified
      case none
      case token(String)
    }

    var beginningOfText = Role.unspecified
    var endOfText = Role.unspecified
    var unknown = Role.unspecified
    var padding = Role.unspecified
    var separator = Role.unspecified
    var classification = Role.unspecified
    var mask = Role.unspecified
    /// The spellings of all but the first three, and of `additional_special_tokens`.
    var others: [String] = []

    init() {}

    enum CodingKeys: String, CodingKey {
      case beginningOfText = "bos_token"
      case endOfText = "eos_token"
      case unknown = "unk_token"
      case padding = "pad_token"
      case separator = "sep_token"
      case classification = "cls_token"
      case mask = "mask_token"
      case additional = "additional_special_tokens"
    }

    init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: CodingKeys.self)
      func role(_ key: CodingKeys) throws -> Role {
        guard values.contains(key) else { return .unspecified }
        return try values.decodeIfPresent(Spelling.self, forKey: key).map { .token($0.text) } ?? .none
      }
      beginningOfText = try role(.beginningOfText)
      endOfText = try role(.endOfText)
      unknown = try role(.unknown)
      padding = try role(.padding)
      separator = try role(.separator)
      classification = try role(.classification)
      mask = try role(.mask)
      for role in [padding, separator, classification, mask] {
        if case .token(let text) = role { others.append(text) }
      }
      others += try (values.decodeIfPresent([Spelling].self, forKey: .additional) ?? []).map(\.text)
    }

    /// These roles, and where nothing is said of one, the other file's.
    func completed(by other: SpecialTokens) -> SpecialTokens {
      var result = self
      if case .unspecified = beginningOfText { result.beginningOfText = other.beginningOfText }
      if case .unspecified = endOfText { result.endOfText = other.endOfText }
      if case .unspecified = unknown { result.unknown = other.unknown }
      if case .unspecified = padding { result.padding = other.padding }
      if case .unspecified = separator { result.separator = other.separator }
      if case .unspecified = classification { result.classification = other.classification }
      if case .unspecified = mask { result.mask = other.mask }
      result.others += other.others
      return result
    }
  }

  /// A token's spelling, alone or as an object's `content`.
  private struct Spelling: Decodable {
    let text: String

    enum CodingKeys: String, CodingKey {
      case text = "content"
    }

    init(from decoder: any Decoder) throws {
      if let text = try? decoder.singleValueContainer().decode(String.self) {
        self.text = text
      } else {
        text = try decoder.container(keyedBy: CodingKeys.self).decode(String.self, forKey: .text)
      }
    }
  }
}

/// The contents of a JSON file, or nil where it does not exist.
private func decodeTokenizerFile<Value: Decodable>(
  _ type: Value.Type, _ file: String
) throws(TokenizerError) -> Value? {
  guard let bytes = try readTokenizerFile(file) else { return nil }
  do {
    return try JSONDecoder().decode(type, from: Data(bytes))
  } catch let error as DecodingError {
    throw TokenizerError(.malformedFile, file: file, error.oneLine)
  } catch {
    throw TokenizerError(.malformedFile, file: file, "cannot be read as JSON")
  }
}

extension DecodingError {
  /// The path of the culprit and what is wrong with it.
  fileprivate var oneLine: String {
    let (context, culprit): (Context, String?) =
      switch self {
      case .dataCorrupted(let context): (context, nil)
      case .typeMismatch(_, let context), .valueNotFound(_, let context): (context, nil)
      case .keyNotFound(let key, let context): (context, key.stringValue)
      @unknown default: (Context(codingPath: [], debugDescription: "cannot be read as JSON"), nil)
      }
    let path = (context.codingPath.map(\.stringValue) + (culprit.map { [$0] } ?? [])).joined(separator: ".")
    let reason = context.debugDescription.split(whereSeparator: \.isNewline).joined(separator: " ")
    return path.isEmpty ? reason : "\(path): \(reason)"
  }
}
