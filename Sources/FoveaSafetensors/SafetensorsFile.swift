public import FoveaCore

/// A safetensors file, mapped and checked: its tensors are views of the file.
///
/// Elements may lie at any byte: kernels and `Tensor` load them unaligned.
public struct SafetensorsFile: Sendable {
  /// The path that was opened.
  public let path: String
  private let storage: TensorStorage
  private let header: SafetensorsHeader
  private let dataOffset: Int

  /// Opens and checks a file.
  ///
  /// - Throws: ``SafetensorsError`` if it cannot be read or breaks a rule of the format.
  public init(path: String) throws(SafetensorsError) {
    self.path = path
    storage = try mapFile(path)
    func lengthError(_ message: String) -> SafetensorsError {
      SafetensorsError(kind: .length, path: path, message: message)
    }
    guard storage.byteCount >= 8 else {
      throw lengthError("\(storage.byteCount) bytes, a safetensors file has at least 8")
    }
    let headerByteCount = UInt64(littleEndian: UnsafeRawPointer(storage.baseAddress).loadUnaligned(as: UInt64.self))
    guard headerByteCount <= SafetensorsHeader.maximumByteCount else {
      throw lengthError(
        "the header claims \(headerByteCount) bytes, more than the \(SafetensorsHeader.maximumByteCount) allowed")
    }
    dataOffset = 8 + Int(headerByteCount)
    guard dataOffset <= storage.byteCount else {
      throw lengthError(
        "the header claims \(headerByteCount) bytes, the file has \(storage.byteCount - 8) after its length")
    }
    header = try SafetensorsHeader(
      UnsafeRawBufferPointer(start: storage.baseAddress + 8, count: Int(headerByteCount)),
      dataByteCount: storage.byteCount - dataOffset, path: path)
  }

  /// The names of the tensors in the order of their data.
  public var names: [String] { header.names }

  /// The header's `__metadata__`.
  public var metadata: [String: String] { header.metadata }

  /// The bytes of all tensors by element type.
  public var byteCounts: [ElementType: Int] {
    header.entries.values.reduce(into: [:]) { $0[$1.elementType, default: 0] += $1.bytes.count }
  }

  /// Whether the file holds a tensor of that name.
  public func contains(_ name: String) -> Bool { header.entries[name] != nil }

  /// A tensor as a view of the mapped file.
  ///
  /// - Throws: ``SafetensorsError`` if the file has none of that name.
  public func tensor(_ name: String) throws(SafetensorsError) -> Tensor {
    guard let entry = header.entries[name] else {
      throw SafetensorsError(kind: .missingTensor, path: path, message: "there is no tensor '\(name)'")
    }
    return Tensor(
      storage: storage, byteOffset: dataOffset + entry.bytes.lowerBound, elementType: entry.elementType,
      shape: entry.shape)
  }
}
