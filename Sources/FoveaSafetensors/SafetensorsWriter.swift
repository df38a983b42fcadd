public import FoveaCore

/// Writes safetensors files as the reference does, byte for byte where there is no more than one metadata entry.
///
/// The header is padded with spaces to a multiple of 8 bytes, and tensors are laid out by element type, largest
/// alignment first, then by name, so that every tensor is aligned.
public enum SafetensorsWriter {
  /// Writes `tensors` to `path`.
  ///
  /// The file appears under its name only when it is whole: it is written under a temporary name in the same folder,
  /// brought to the disk, then renamed. On an error nothing is left.
  ///
  /// - Parameters:
  ///   - tensors: by name, of any strides; one that is not contiguous is copied while it is written.
  ///   - metadata: for the header's `__metadata__`.
  ///   - path: where to write; the folder must exist.
  ///   - overwriting: whether a file at `path` may be replaced. Maps of the old file stay valid.
  /// - Throws: ``SafetensorsError`` if a name is reserved, the file exists, or the system refuses to write.
  public static func write(
    _ tensors: [String: Tensor], metadata: [String: String] = [:], to path: String, overwriting: Bool = false
  ) throws(SafetensorsError) {
    let ordered = orderedForFile(tensors)
    let header = try header(ordered, metadata: metadata, file: path)
    var file = try ReplacementFile(path, overwriting: overwriting)
    do throws(SafetensorsError) {
      try header.withBytes { bytes throws(SafetensorsError) in try file.write(bytes) }
      for (_, tensor) in ordered {
        let source = tensor.isContiguous ? tensor : tensor.contiguous()
        // The storage holds `byteCount` bytes from the first element on, and lives as long as `source`.
        try file.write(UnsafeRawBufferPointer(start: source.baseAddress, count: source.byteCount))
        withExtendedLifetime(source) {}
      }
      try file.finish()
    } catch {
      file.discard()
      throw error
    }
  }

  /// The tensors in the order of the file. Names are compared by bytes, as in the reference; Swift's order of strings
  /// is another.
  private static func orderedForFile(_ tensors: [String: Tensor]) -> [(name: String, tensor: Tensor)] {
    tensors.map { (name: $0.key, tensor: $0.value) }.sorted { left, right in
      let ranks = (left.tensor.elementType.safetensorsRank, right.tensor.elementType.safetensorsRank)
      return ranks.0 != ranks.1 ? ranks.0 > ranks.1 : left.name.utf8.lexicographicallyPrecedes(right.name.utf8)
    }
  }

  /// The length field and the padded header.
  private static func header(
    _ tensors: [(name: String, tensor: Tensor)], metadata: [String: String], file: String
  ) throws(SafetensorsError) -> [UInt8] {
    var json = "{"
    if !metadata.isEmpty {
      let members = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        .map { "\(jsonQuoted($0.key)):\(jsonQuoted($0.value))" }
      json += "\"\(ParsedHeader.metadataKey)\":{\(members.joined(separator: ","))}"
    }
    var offset = 0
    for (name, tensor) in tensors {
      guard name != ParsedHeader.metadataKey else {
        throw SafetensorsError(.invalidName, file: file, tensor: name, "has a name that the format reserves")
      }
      if json.utf8.count > 1 { json += "," }
      let end = offset + tensor.byteCount
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      json +=
        "\(jsonQuoted(name)):{\"dtype\":\"\(tensor.elementType.safetensorsName)\",\"shape\":[\(shape)],"
        + "\"data_offsets\":[\(offset),\(end)]}"
      offset = end
    }
    json += "}"
    var bytes = Array(json.utf8)
    bytes += [UInt8](repeating: UInt8(ascii: " "), count: (8 - bytes.count % 8) % 8)
    guard bytes.count <= SafetensorsHeader.byteCountLimit else {
      throw SafetensorsError(
        .unwritableFile, file: file,
        "needs a header of \(bytes.count) bytes, more than the limit of \(SafetensorsHeader.byteCountLimit)")
    }
    let length = UInt64(bytes.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * UInt64($0))) } + bytes
  }
}

extension [UInt8] {
  fileprivate func withBytes(
    _ body: (UnsafeRawBufferPointer) throws(SafetensorsError) -> Void
  ) throws(SafetensorsError) {
    let result = withUnsafeBytes { bytes in
      Result { () throws(SafetensorsError) in try body(bytes) }
    }
    try result.get()
  }
}
