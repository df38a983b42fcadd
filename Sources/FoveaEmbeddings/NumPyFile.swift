internal import FoveaCore

/// NumPy's `.npy` files of float32 matrices (format 1.0 of NEP 1; rows of little-endian values after a header).
public enum NumPyFile {
  private static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  /// A header is a line of some 80 characters.
  private static let headerByteCountLimit = 1 << 16

  /// What precedes the values of a `[rowCount, columnCount]` matrix.
  public static func header(rowCount: Int, columnCount: Int) -> [UInt8] {
    var text = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(rowCount), \(columnCount)), }"
    let prefixCount = magic.count + 4
    // Values begin at a multiple of 64 bytes; the line's end is the last byte before.
    text += String(repeating: " ", count: 63 - (prefixCount + text.utf8.count) % 64) + "\n"
    let length = text.utf8.count
    return magic + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)] + Array(text.utf8)
  }

  /// The bytes of `values`, little-endian.
  public static func bytes(of values: [Float]) -> [UInt8] {
    values.flatMap { value in withUnsafeBytes(of: value.bitPattern.littleEndian, Array.init) }
  }

  /// Reads a matrix of float32, row after row.
  ///
  /// - Throws: ``EmbeddingError`` for a file that cannot be read or is no such matrix.
  public static func read(
    _ path: String
  ) throws(EmbeddingError) -> (values: [Float], rowCount: Int, columnCount: Int) {
    let storage: TensorStorage
    do throws(FileReadingError) {
      storage = try ReadableFile(path).map()
    } catch {
      throw EmbeddingError(.missingFile, file: path, error.reason)
    }
    // The map holds `byteCount` bytes and lives as long as `storage`.
    let bytes = UnsafeRawBufferPointer(start: storage.baseAddress, count: storage.byteCount)
    defer { withExtendedLifetime(storage) {} }
    guard bytes.count >= 12, bytes.prefix(6).elementsEqual(magic) else {
      throw EmbeddingError(.malformedFile, file: path, "is no .npy file")
    }
    let isFirstVersion = bytes[6] == 1
    guard (1...3).contains(bytes[6]) else {
      throw EmbeddingError(.malformedFile, file: path, "is a .npy file of version \(bytes[6]), expected 1 to 3")
    }
    let start = isFirstVersion ? 10 : 12
    let length =
      isFirstVersion
      ? Int(bytes[8]) | Int(bytes[9]) << 8
      : (0..<4).reduce(0) { $0 | Int(bytes[8 + $1]) << (8 * $1) }
    guard length <= headerByteCountLimit, start + length <= bytes.count else {
      throw EmbeddingError(.malformedFile, file: path, "has a header of \(length) bytes, which is not all there")
    }
    let header = String(decoding: bytes[start..<start + length], as: UTF8.self).filter { $0 != " " }
    guard header.contains("'descr':'<f4'"), header.contains("'fortran_order':False"),
      let shape = shape(in: header)
    else {
      throw EmbeddingError(
        .malformedFile, file: path,
        "is no matrix of little-endian float32 rows: \(printable(String(header.prefix(100))))")
    }
    let (count, overflow) = shape.0.multipliedReportingOverflow(by: shape.1)
    guard !overflow, count <= (bytes.count - start - length) / 4, bytes.count - start - length == count * 4 else {
      throw EmbeddingError(
        .malformedFile, file: path,
        "has \(bytes.count - start - length) bytes of values, not those of \(shape.0) × \(shape.1) float32")
    }
    let values = [Float](unsafeUninitializedCapacity: count) { buffer, filled in
      for index in 0..<count {
        let bits = bytes.loadUnaligned(fromByteOffset: start + length + 4 * index, as: UInt32.self)
        buffer.initializeElement(at: index, to: Float(bitPattern: UInt32(littleEndian: bits)))
      }
      filled = count
    }
    return (values, shape.0, shape.1)
  }

  /// Two dimensions; the second at least 1.
  private static func shape(in header: String) -> (Int, Int)? {
    guard let open = header.range(of: "'shape':(") else { return nil }
    let numbers = header[open...].prefix { $0 != ")" }.split(separator: ",").compactMap { Int($0) }
    let parts = header[open...].prefix { $0 != ")" }.split(separator: ",").count
    guard numbers.count == 2, parts == 2, numbers[0] >= 0, numbers[1] >= 1 else { return nil }
    return (numbers[0], numbers[1])
  }
}

extension String {
  /// Where the text after `needle` begins.
  fileprivate func range(of needle: String) -> Index? {
    var start = startIndex
    while start < endIndex {
      if self[start...].hasPrefix(needle) { return index(start, offsetBy: needle.count) }
      start = index(after: start)
    }
    return nil
  }
}
