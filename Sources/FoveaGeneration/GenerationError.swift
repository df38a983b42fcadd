public import FoveaCore

/// Why a text cannot be generated.
public enum GenerationError: FoveaError, Equatable {
  /// The prompt has more tokens than the model has positions.
  case promptTooLong(tokenCount: Int, contextLength: Int)
  /// A prompt or an option names a token that the model does not have.
  case tokenOutOfVocabulary(token: Int, vocabularySize: Int)
  /// The prompt has no tokens and the model has no token that begins a text.
  case emptyPrompt
  /// An option's value lies outside of its range; `name` is the property's.
  case invalidOption(name: String, value: String, expected: String)
  /// Text was given or asked for, but the model was loaded without a tokenizer.
  case missingTokenizer(need: String)
  /// A file breaks its format's rules.
  case malformedFile(path: String, message: String)
  /// A file exists but cannot be read.
  case unreadableFile(path: String, message: String)
  /// No token can follow: the logits after `position` tokens hold a NaN, an infinity, or nothing that is allowed.
  case noUsableLogits(position: Int)

  /// `usage` for what the caller asked for, `badData` for contents, `missingInput` for what is not there.
  public var category: FaultCategory {
    switch self {
    case .promptTooLong, .tokenOutOfVocabulary, .emptyPrompt, .invalidOption: .usage
    case .malformedFile, .noUsableLogits: .badData
    case .missingTokenizer, .unreadableFile: .missingInput
    }
  }

  /// One line that names the culprit.
  public var description: String {
    switch self {
    case .promptTooLong(let tokenCount, let contextLength):
      "the prompt has \(tokenCount) tokens but the model's context holds \(contextLength)"
    case .tokenOutOfVocabulary(let token, let vocabularySize):
      "token \(token) is not in the model's vocabulary of \(vocabularySize) tokens"
    case .emptyPrompt:
      "the prompt is empty and the model has no token that begins a text"
    case .invalidOption(let name, let value, let expected):
      "\(name) is \(value), expected \(expected)"
    case .missingTokenizer(let need):
      "the model's folder has neither tokenizer.json nor tokenizer.model, one of which \(need) needs"
    case .malformedFile(let path, let message), .unreadableFile(let path, let message):
      "\(path): \(message)"
    case .noUsableLogits(let position):
      "the logits after \(position) tokens are NaN or infinite, or forbid every token: no token can be chosen"
    }
  }
}
