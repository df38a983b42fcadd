public import FoveaCore

/// What is wrong with an evaluation: its options, its text, or a file of an earlier one.
public struct EvaluationError: FoveaError, Equatable {
  /// What kind of fault this is.
  public enum Kind: Sendable, Equatable {
    /// An option that the model or the method does not allow.
    case invalidOption
    /// A text with nothing to score, or fewer tokens than the method needs.
    case textTooShort
    /// A file is absent or cannot be read.
    case missingFile
    /// A file cannot be written.
    case unwritableFile
    /// A file breaks its format's rules, or was damaged.
    case malformedFile
    /// A sound file of another model, text or set of options.
    case foreignFile
    /// Files that do not make up one evaluation.
    case incompleteParts
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
    case .malformedFile, .foreignFile, .incompleteParts, .textTooShort: .badData
    case .invalidOption, .unwritableFile: .usage
    }
  }
}
