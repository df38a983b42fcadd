public import FoveaCore

/// A model's configuration that cannot be used, or a request that the model cannot fulfil.
public struct ModelError: FoveaError, Equatable {
  /// What is wrong.
  public enum Kind: Sendable, Equatable {
    /// A file does not exist or cannot be read.
    case unreadableFile
    /// A file is no JSON object, or a value is missing, of the wrong type or out of range.
    case invalidConfiguration
    /// The model's family is not known.
    case unknownFamily
    /// The family is known, but not with this feature.
    case unsupportedFeature
    /// A token id is not in the vocabulary.
    case tokenOutOfRange
    /// More tokens than the context holds.
    case contextOverflow
  }

  /// What is wrong.
  public let kind: Kind
  /// The file, key or number, what was found and what was expected.
  public let message: String

  /// What kind of fault it is.
  public var category: FaultCategory {
    switch kind {
    case .unreadableFile: .missingInput
    case .invalidConfiguration, .unknownFamily, .unsupportedFeature: .badData
    case .tokenOutOfRange, .contextOverflow: .usage
    }
  }

  /// One line that names the culprit.
  public var description: String { message }
}

extension ModelError {
  static func tokenOutOfRange(_ token: Int, vocabularySize: Int) -> ModelError {
    ModelError(
      kind: .tokenOutOfRange, message: "token \(token) is not in the model's vocabulary of \(vocabularySize) tokens")
  }

  static func contextOverflow(length: Int, contextLength: Int) -> ModelError {
    ModelError(
      kind: .contextOverflow, message: "\(length) tokens do not fit the model's context of \(contextLength)")
  }
}
