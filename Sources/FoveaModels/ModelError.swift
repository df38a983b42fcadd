public import FoveaCore

/// What is wrong with a model's configuration, or with what a model was asked to evaluate.
public struct ModelError: FoveaError, Equatable {
  /// What kind of fault this is.
  public enum Kind: Sendable, Equatable {
    /// A file or folder is absent or cannot be read.
    case missingFile
    /// A file is not JSON, or not an object.
    case malformedFile
    /// A setting is absent, or has a value of the wrong type or out of its range.
    case invalidSetting
    /// The model is of a type that Fovea does not know.
    case unknownModelType
    /// The model's type is known, but it has a feature that Fovea lacks.
    case unsupportedFeature
    /// A token is not in the vocabulary.
    case tokenOutOfRange
    /// A text is longer than the context.
    case contextOverflow
    /// A cache's sizes do not go together, or not with the model.
    case invalidCacheSize
    /// A saved cache is damaged, is no such file, or belongs to another model or precision.
    case invalidCacheFile
  }

  /// What kind of fault this is.
  public let kind: Kind
  /// The file at fault, if it is one.
  public let file: String?
  /// The culprit and what was expected of it, without the file.
  public let message: String

  /// An error about `file`, or about what the caller asked for.
  public init(_ kind: Kind, file: String? = nil, _ message: String) {
    self.kind = kind
    self.file = file
    self.message = message
  }

  /// One line with the file and the culprit.
  public var description: String {
    guard let file else { return message }
    return "\(printable(file, limit: 4096)): \(message)"
  }

  /// `missingInput` for files that cannot be read, `usage` for the caller's tokens, otherwise `badData`.
  public var category: FaultCategory {
    switch kind {
    case .missingFile: .missingInput
    case .malformedFile, .invalidSetting, .unknownModelType, .unsupportedFeature, .invalidCacheFile: .badData
    case .tokenOutOfRange, .contextOverflow, .invalidCacheSize: .usage
    }
  }

  static func tokenOutOfRange(_ token: Int, vocabularySize: Int) -> ModelError {
    ModelError(.tokenOutOfRange, "token \(token) is not in the vocabulary of \(vocabularySize)")
  }

  static func contextOverflow(length: Int, contextLength: Int) -> ModelError {
    ModelError(.contextOverflow, "\(length) tokens are more than the context of \(contextLength)")
  }
}
