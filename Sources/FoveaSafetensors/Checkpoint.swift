public import FoveaCore

/// The weights of a folder in Hugging Face layout: one safetensors file, or shards with an index.
public struct Checkpoint: Sendable {
  /// The path of the folder, as it was given.
  public let folder: String
  /// The one file, or the shards in the order of their names.
  public let files: [SafetensorsFile]
  /// Which of `files` has a tensor.
  private let fileIndices: [String: Int]

  /// The name of the file of a checkpoint in one piece.
  public static let singleFileName = "model.safetensors"
  /// The name of the index of a checkpoint in shards.
  public static let indexFileName = "model.safetensors.index.json"

  /// Opens `model.safetensors`, or if there is none, the shards that `model.safetensors.index.json` lists.
  ///
  /// A shard's tensors that the index does not list are there nonetheless, as they are for transformers.
  ///
  /// - Throws: ``SafetensorsError`` if a file is missing or breaks its rules, a tensor is listed in the index but absent
  ///   from its shard, or a tensor is in two shards.
  public static func open(folder: String) throws(SafetensorsError) -> Checkpoint {
    do {
      return try Checkpoint(folder: folder, files: [SafetensorsFile.open(folder + "/" + singleFileName)])
    } catch {
      guard error.kind == .missingFile else { throw error }
      return try openShards(folder: folder)
    }
  }

  private static func openShards(folder: String) throws(SafetensorsError) -> Checkpoint {
    let indexPath = folder + "/" + indexFileName
    let bytes: [UInt8]
    do throws(FileReadingError) {
      bytes = try readFile(indexPath, byteCountLimit: CheckpointIndex.byteCountLimit)
    } catch {
      if error.isMissing {
        throw SafetensorsError(.missingFile, file: folder, "has neither \(singleFileName) nor \(indexFileName)")
      }
      throw SafetensorsError(error, file: indexPath)
    }
    let index = try CheckpointIndex(parsing: bytes, file: indexPath)
    var files: [SafetensorsFile] = []
    for shard in index.shardNames { files.append(try SafetensorsFile.open(folder + "/" + shard)) }
    let checkpoint = try Checkpoint(folder: folder, files: files)
    for (name, shard) in index.shardsByTensor.sorted(by: { $0.key < $1.key }) {
      guard let fileIndex = checkpoint.fileIndices[name], index.shardNames[fileIndex] == shard else {
        throw SafetensorsError(
          .malformedIndex, file: indexPath, tensor: name,
          "is listed in shard '\(printable(shard))', which has no such tensor")
      }
    }
    return checkpoint
  }

  private init(folder: String, files: [SafetensorsFile]) throws(SafetensorsError) {
    self.folder = folder
    self.files = files
    var fileIndices: [String: Int] = [:]
    for (index, file) in files.enumerated() {
      for name in file.names {
        if let other = fileIndices.updateValue(index, forKey: name) {
          throw SafetensorsError(
            .malformedIndex, file: file.path, tensor: name, "is in \(printable(files[other].path)) too")
        }
      }
    }
    self.fileIndices = fileIndices
  }

  /// The names of the tensors, file by file, in the order of their bytes.
  public var names: [String] { files.flatMap(\.names) }

  /// The size of all tensors in bytes.
  public var byteCount: Int { files.reduce(0) { $0 + $1.byteCount } }

  /// The size of all tensors in bytes, by element type.
  public var byteCounts: [ElementType: Int] {
    files.reduce(into: [:]) { $0.merge($1.byteCounts, uniquingKeysWith: +) }
  }

  /// Whether there is a tensor of this name.
  public func contains(_ name: String) -> Bool { fileIndices[name] != nil }

  /// The tensor called `name`: a read-only view of a mapped file; see ``SafetensorsFile/tensor(_:)``.
  ///
  /// - Throws: ``SafetensorsError`` of kind `missingTensor` if there is none.
  public func tensor(_ name: String) throws(SafetensorsError) -> Tensor {
    try file(of: name).tensor(name)
  }

  /// The tensor called `name`, which must have `shape` and one of `elementTypes`.
  ///
  /// - Throws: ``SafetensorsError`` naming the tensor with what was expected and found.
  public func tensor(
    _ name: String, shape: [Int], elementTypes: [ElementType]
  ) throws(SafetensorsError) -> Tensor {
    try file(of: name).tensor(name, shape: shape, elementTypes: elementTypes)
  }

  private func file(of name: String) throws(SafetensorsError) -> SafetensorsFile {
    guard let index = fileIndices[name] else {
      throw SafetensorsError(.missingTensor, file: folder, tensor: name, "is not in the checkpoint")
    }
    return files[index]
  }
}
