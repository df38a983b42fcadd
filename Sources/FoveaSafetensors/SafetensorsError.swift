public import FoveaCore

/// What is wrong with a safetensors file, an index, or a tensor wanted from them.
public struct SafetensorsError: FoveaError, Equatable {
  /// What kind of fault this is.
  public enum Kind: Sendable, Equatable {
    /// A file or folder is absent.
    case missingFile
    /// A file is there but cannot be read.
    case unreadableFile
    /// The header's length or JSON breaks the format's rules.
    case malformedHeader
    /// The tensors' offsets do not tile the data, or do not fit their shapes.
    case invalidLayout
    /// A tensor's element type is not known.
    case unsupportedElementType
    /// `model.safetensors.index.json` breaks its rules, or does not agree with the shards.
    case malformedIndex
    /// No tensor has this name.
    case missingTensor
    /// A tensor has another shape than wanted.
    case wrongShape
    /// A tensor has another element type than wanted.
    case wrongElementType
    /// A tensor's name is reserved by the format.
    case invalidName
    /// The file to be written is there already.
    case fileExists
    /// A file could not be written.
    case unwritableFile
  }

  /// What kind of fault this is.
  public let kind: Kind
  /// The file or folder at fault.
  public let file: String
  /// The tensor at fault, if it is one.
  public let tensor: String?
  /// Where in the file the fault lies, if that is known.
  public let byteOffset: Int?
  /// What was expected and what was found, without the file, tensor and offset.
  public let message: String

  /// An error about `file`.
  public init(_ kind: Kind, file: String, tensor: String? = nil, byteOffset: Int? = nil, _ message: String) {
    self.kind = kind
    self.file = file
    self.tensor = tensor
    self.byteOffset = byteOffset
    self.message = message
  }

  /// One line with the file, the tensor and the offset.
  public var description: String {
    var text = printable(file, limit: 4096) + ": "
    if let tensor { text += "tensor '\(printable(tensor))' " }
    text += message
    if let byteOffset { text += " (at byte \(byteOffset))" }
    return text
  }

  /// `missingInput` for what is absent, `usage` for what cannot be written, otherwise `badData`.
  public var category: FaultCategory {
    switch kind {
    case .missingFile, .unreadableFile, .missingTensor: .missingInput
    case .malformedHeader, .invalidLayout, .unsupportedElementType, .malformedIndex, .wrongShape, .wrongElementType:
      .badData
    case .invalidName, .fileExists, .unwritableFile: .usage
    }
  }

  init(_ error: FileReadingError, file: String) {
    self.init(error.isMissing ? .missingFile : .unreadableFile, file: file, error.reason)
  }
}
