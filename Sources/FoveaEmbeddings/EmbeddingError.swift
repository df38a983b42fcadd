public import FoveaCore

/// What is wrong with an embedding model's files, or with what it was asked to embed.
public struct EmbeddingError: FoveaError, Equatable {
  /// What kind of fault this is.
  public enum Kind: Sendable, Equatable {
    /// A file is absent or cannot be read.
    case missingFile
    /// A file breaks its format's rules, or does not fit the others.
    case malformedFile
    /// The model has a module or setting that Fovea lacks.
    case unsupportedFeature
    /// An option's value that the model does not allow.
    case invalidOption
    /// A prompt's name that the model does not have.
    case unknownPrompt
    /// A text is longer than the model allows, and truncation was refused.
    case textTooLong
    /// Vectors of different lengths were compared.
    case dimensionMismatch
    /// A file of vectors or of a job cannot be written.
    case unwritableFile
    /// A sound file of another model, text or set of options.
    case foreignFile
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

  /// `missingInput` for files that cannot be read, `badData` for what they hold, otherwise `usage`.
  public var category: FaultCategory {
    switch kind {
    case .missingFile: .missingInput
    case .malformedFile, .unsupportedFeature, .textTooLong, .foreignFile: .badData
    case .invalidOption, .unknownPrompt, .dimensionMismatch, .unwritableFile: .usage
    }
  }
}
