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
