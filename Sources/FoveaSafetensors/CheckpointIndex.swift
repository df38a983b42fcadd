internal import FoveaCore

/// What `model.safetensors.index.json` says: in which file of the folder each tensor is.
struct CheckpointIndex {
  /// The shard of each tensor.
  let shardsByTensor: [String: String]
  /// The shards, each once, sorted.
  let shardNames: [String]

  /// Larger than the index of any model; it keeps a wrong file from being read whole.
  static let byteCountLimit = 100_000_000

  /// Parses the index; other keys than `weight_map` are ignored, as totals in `metadata` are often wrong.
  init(parsing bytes: [UInt8], file: String) throws(SafetensorsError) {
    let value: JSONValue
    do throws(JSONError) {
      value = try JSONValue(parsing: bytes)
    } catch {
      throw SafetensorsError(.malformedIndex, file: file, byteOffset: error.byteOffset, error.message)
    }
    guard case .object(let members) = value, case .object(let weightMap)? = members["weight_map"] else {
      throw SafetensorsError(.malformedIndex, file: file, "must be an object with an object 'weight_map'")
    }
    var shardsByTensor = [String: String](minimumCapacity: weightMap.count)
    for (name, value) in weightMap {
      guard case .string(let shard) = value else {
        throw SafetensorsError(
          .malformedIndex, file: file, tensor: name, "must be mapped to a file name, found \(value.summary)")
      }
      guard Self.isPlainFileName(shard) else {
        throw SafetensorsError(
          .malformedIndex, file: file, tensor: name,
          "is mapped to '\(printable(shard))', which is not the name of a file in the folder")
      }
      shardsByTensor[name] = shard
    }
    self.shardsByTensor = shardsByTensor
    shardNames = Set(shardsByTensor.values).sorted()
  }

  /// Whether `name` cannot lead out of the folder.
  private static func isPlainFileName(_ name: String) -> Bool {
    let separators: [UInt8] = [0, UInt8(ascii: "/"), UInt8(ascii: "\\")]
    return !name.isEmpty && name != "." && !name.contains("..") && !name.utf8.contains(where: separators.contains)
  }
}
