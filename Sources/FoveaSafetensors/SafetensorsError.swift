public import FoveaCore

/// A safetensors file or checkpoint that breaks a rule of its format, or lacks what was asked for.
public struct SafetensorsError: FoveaError, Equatable {
  /// Which rule was broken.
  public enum Kind: Sendable, Equatable {
    /// A file or folder does not exist or cannot be read.
    case unreadable
    /// The file is shorter than its header says, or longer.
    case length
    /// The header is no JSON object of the expected form.
    case header
    /// Two tensors or members have the same name.
    case duplicateName
    /// An element type is unknown, or is not one of those expected.
    case elementType
    /// A tensor's offsets leave holes, overlap, or do not fit its shape.
    case offsets
    /// A tensor is not in the file or checkpoint.
    case missingTensor
    /// A tensor has another shape than expected.
    case shape
    /// The index of a sharded checkpoint does not fit its shards.
    case index
    /// A file could not be written.
    case unwritable
  }

  /// Which rule was broken.
  public let kind: Kind
  /// The file or folder.
  public let path: String
  /// What was found and what was expected, with the tensor's name or the byte offset.
  public let message: String

  /// What kind of fault it is.
  public var category: FaultCategory {
    switch kind {
    case .unreadable: .missingInput
    case .unwritable: .usage
    default: .badData
    }
  }

  /// One line that names the culprit.
  public var description: String { "\(path): \(message)" }
}
