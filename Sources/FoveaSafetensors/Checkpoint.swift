public import FoveaCore

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// The weights of a model folder: one safetensors file, or several that an index names.
public struct Checkpoint: Sendable {
  /// The folder that was opened.
  public let folder: String
  /// The names of all tensors, sorted.
  public let names: [String]
  private let files: [SafetensorsFile]
  private let fileIndices: [String: Int]

  /// model.safetensors.index.json.
  private struct Index: Decodable {
    let weightMap: [String: String]

    enum CodingKeys: String, CodingKey {
      case weightMap = "weight_map"
    }
  }

  /// Opens the weights of a folder in Hugging Face layout.
  ///
  /// - Throws: ``SafetensorsError`` if there are none, a shard is missing or broken, or the index does not fit them.
  public static func open(folder: String) throws(SafetensorsError) -> Checkpoint {
    let indexPath = folder + "/model.safetensors.index.json"
    let singlePath = folder + "/model.safetensors"
    if access(indexPath, F_OK) == 0 { return try Checkpoint(folder: folder, indexPath: indexPath) }
    guard access(singlePath, F_OK) == 0 else {
      throw SafetensorsError(
        kind: .unreadable, path: folder, message: "neither model.safetensors nor model.safetensors.index.json is there")
    }
    return try Checkpoint(folder: folder, files: [SafetensorsFile(path: singlePath)])
  }

  private init(folder: String, files: [SafetensorsFile]) throws(SafetensorsError) {
    var fileIndices: [String: Int] = [:]
    for (index, file) in files.enumerated() {
      for name in file.names {
        if let other = fileIndices.updateValue(index, forKey: name) {
          throw SafetensorsError(
            kind: .duplicateName, path: file.path, message: "tensor '\(name)' is also in \(files[other].path)")
        }
      }
    }
    self.folder = folder
    self.files = files
    self.fileIndices = fileIndices
    names = fileIndices.keys.sorted()
  }

  private init(folder: String, indexPath: String) throws(SafetensorsError) {
    let mapping = try mapFile(indexPath)
    let weightMap: [String: String]
    do {
      let data = Data(bytes: mapping.baseAddress, count: mapping.byteCount)
      weightMap = try JSONDecoder().decode(Index.self, from: data).weightMap
    } catch {
      throw SafetensorsError(
        kind: .index, path: indexPath, message: "expected a JSON object with 'weight_map', tensor names to file names")
    }
    var files: [SafetensorsFile] = []
    for shard in Set(weightMap.values).sorted() {
      // A shard lies in the folder itself: a path would read files that the folder's owner did not mean.
      guard !shard.contains("/"), !shard.contains("\\"), !shard.contains("\0"), shard.hasSuffix(".safetensors") else {
        throw SafetensorsError(
          kind: .index, path: indexPath, message: "'\(shard)' is no name of a safetensors file in the same folder")
      }
      files.append(try SafetensorsFile(path: folder + "/" + shard))
    }
    try self.init(folder: folder, files: files)
    for (name, shard) in weightMap.sorted(by: { $0.key < $1.key }) {
      guard let index = fileIndices[name], files[index].path == folder + "/" + shard else {
        throw SafetensorsError(
          kind: .index, path: indexPath, message: "tensor '\(name)' is not in \(shard), where the index has it")
      }
    }
  }

  /// Whether there is a tensor of that name.
  public func contains(_ name: String) -> Bool { fileIndices[name] != nil }

  /// A tensor as a view of its mapped file.
  ///
  /// - Throws: ``SafetensorsError`` if there is none of that name.
  public func tensor(_ name: String) throws(SafetensorsError) -> Tensor {
    guard let index = fileIndices[name] else {
      throw SafetensorsError(kind: .missingTensor, path: folder, message: "there is no tensor '\(name)'")
    }
    return try files[index].tensor(name)
  }

  /// A tensor of an expected shape and one of several types.
  ///
  /// - Throws: ``SafetensorsError`` naming the tensor, what was expected and what was found.
  public func tensor(
    _ name: String, shape: [Int], elementTypes: [ElementType]
  ) throws(SafetensorsError) -> Tensor {
    let tensor = try tensor(name)
    let path = fileIndices[name].map { files[$0].path } ?? folder
    guard tensor.shape == shape else {
      throw SafetensorsError(
        kind: .shape, path: path, message: "tensor '\(name)' has shape \(tensor.shape), expected \(shape)")
    }
    guard elementTypes.contains(tensor.elementType) else {
      let expected = elementTypes.map(\.rawValue).joined(separator: ", ")
      throw SafetensorsError(
        kind: .elementType, path: path,
        message: "tensor '\(name)' is of type \(tensor.elementType), expected one of \(expected)")
    }
    return tensor
  }

  /// The bytes of all tensors by element type.
  public var byteCounts: [ElementType: Int] {
    files.reduce(into: [:]) { $0.merge($1.byteCounts, uniquingKeysWith: +) }
  }
}
