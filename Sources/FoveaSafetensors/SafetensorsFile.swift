public import FoveaCore

/// A safetensors file, mapped and checked: tensors by name, without a copy.
///
/// Opening checks every rule of the format, so that no tensor can reach outside of the file: the header's length and
/// JSON, names that appear twice, shapes against byte ranges, and that the tensors tile the data without holes, overlaps
/// or trailing bytes. What cannot be checked is a file that another process shortens afterwards: reading its lost pages
/// kills the process (SIGBUS). Names that Unicode holds equivalent count as the same.
public struct SafetensorsFile: Sendable {
  /// The path, as it was given.
  public let path: String
  /// What the header's `__metadata__` holds; empty if there is none.
  public let metadata: [String: String]

  private let storage: TensorStorage
  private let dataOffset: Int
  private let entries: [SafetensorsHeader.Entry]
  private let indices: [String: Int]

  /// Maps the file at `path`. Its bytes are read as they are used.
  ///
  /// - Throws: ``SafetensorsError`` if the file cannot be read or breaks a rule of the format.
  public static func open(_ path: String) throws(SafetensorsError) -> SafetensorsFile {
    let headerBytes: [UInt8]
    let storage: TensorStorage
    do throws(FileReadingError) {
      let file = try ReadableFile(path)
      headerBytes = try file.prefix(SafetensorsHeader.lengthByteCount)
      storage = try file.map()
    } catch {
      throw SafetensorsError(error, file: path)
    }
    return try SafetensorsFile(storage: storage, lengthField: headerBytes, path: path)
  }

  /// Takes the bytes of a whole file; `name` stands for the path in errors.
  ///
  /// - Throws: ``SafetensorsError`` if they break a rule of the format.
  public init(bytes: [UInt8], name: String) throws(SafetensorsError) {
    let storage = TensorStorage(byteCount: bytes.count)
    bytes.withUnsafeBytes { source in
      if let start = source.baseAddress { storage.baseAddress.copyMemory(from: start, byteCount: source.count) }
    }
    try self.init(storage: storage, lengthField: Array(bytes.prefix(SafetensorsHeader.lengthByteCount)), path: name)
  }

  private init(storage: TensorStorage, lengthField: [UInt8], path: String) throws(SafetensorsError) {
    let headerByteCount = try SafetensorsHeader.byteCount(
      prefix: lengthField, fileByteCount: storage.byteCount, file: path)
    dataOffset = SafetensorsHeader.lengthByteCount + headerByteCount
    // In bounds: the header lies inside of the storage, as was just checked.
    let json = [UInt8](
      UnsafeRawBufferPointer(start: storage.baseAddress, count: dataOffset)[SafetensorsHeader.lengthByteCount...])
    let header = try SafetensorsHeader(parsing: json, dataByteCount: storage.byteCount - dataOffset, file: path)
    self.path = path
    self.storage = storage
    metadata = header.metadata
    entries = header.entries
    var indices = [String: Int](minimumCapacity: header.entries.count)
    for (index, entry) in header.entries.enumerated() { indices[entry.name] = index }
    self.indices = indices
  }

  /// The names of the tensors, in the order of their bytes in the file.
  public var names: [String] { entries.map(\.name) }

  /// The size of all tensors in bytes.
  public var byteCount: Int { storage.byteCount - dataOffset }

  /// The size of all tensors in bytes, by element type.
  public var byteCounts: [ElementType: Int] {
    entries.reduce(into: [:]) { $0[$1.elementType, default: 0] += $1.byteRange.count }
  }

  /// Whether there is a tensor of this name.
  public func contains(_ name: String) -> Bool { indices[name] != nil }

  /// The tensor called `name`: a read-only view of the mapped file.
  ///
  /// Other writers than the reference may place a tensor at an address that its element type does not divide. Such a
  /// tensor is copied to aligned memory at each call, so that no kernel has to load unaligned elements.
  ///
  /// - Throws: ``SafetensorsError`` of kind `missingTensor` if there is none.
  public func tensor(_ name: String) throws(SafetensorsError) -> Tensor {
    guard let index = indices[name] else {
      throw SafetensorsError(.missingTensor, file: path, tensor: name, "is not in the file")
    }
    let entry = entries[index]
    let offset = dataOffset + entry.byteRange.lowerBound
    let alignment = entry.elementType.byteCount
    guard (Int(bitPattern: storage.baseAddress) + offset) % alignment == 0 else {
      let copy = Tensor(zeros: entry.shape, elementType: entry.elementType)
      // In bounds: the header's check keeps the range inside of the file, and the copy has the same shape and type.
      copy.baseAddress.copyMemory(from: storage.baseAddress + offset, byteCount: entry.byteRange.count)
      return copy
    }
    return Tensor(storage: storage, byteOffset: offset, elementType: entry.elementType, shape: entry.shape)
  }

  /// The tensor called `name`, which must have `shape` and one of `elementTypes`.
  ///
  /// - Throws: ``SafetensorsError`` naming the tensor with what was expected and found.
  public func tensor(
    _ name: String, shape: [Int], elementTypes: [ElementType]
  ) throws(SafetensorsError) -> Tensor {
    let tensor = try tensor(name)
    guard tensor.shape == shape else {
      throw SafetensorsError(
        .wrongShape, file: path, tensor: name, "has shape \(tensor.shape), expected \(shape)")
    }
    guard elementTypes.contains(tensor.elementType) else {
      let expected = elementTypes.map(\.rawValue).joined(separator: " or ")
      throw SafetensorsError(
        .wrongElementType, file: path, tensor: name, "has elements of \(tensor.elementType), expected \(expected)")
    }
    return tensor
  }
}
