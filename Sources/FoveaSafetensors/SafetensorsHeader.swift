internal import FoveaCore

/// The parsed and checked header of a safetensors file.
///
/// The file is the header's length (8 bytes, little-endian), the header (JSON, padded with spaces), and the tensors'
/// bytes one after another. See <https://huggingface.co/docs/safetensors> for the format.
struct SafetensorsHeader: Sendable {
  /// Where one tensor lies.
  struct Entry: Sendable {
    let name: String
    let elementType: ElementType
    let shape: [Int]
    /// The tensor's bytes, counted from the end of the header.
    let byteRange: Range<Int>
    /// Where the tensor's name stands in the file, for errors.
    let byteOffset: Int
  }

  /// The tensors in the order of their bytes.
  private(set) var entries: [Entry] = []
  /// What `__metadata__` holds.
  private(set) var metadata: [String: String] = [:]

  /// The size of the length field.
  static let lengthByteCount = 8
  /// The format's limit; it keeps a hostile length from exhausting the memory.
  static let byteCountLimit = 100_000_000

  /// The length of the header that the first bytes of a file announce.
  static func byteCount(prefix: [UInt8], fileByteCount: Int, file: String) throws(SafetensorsError) -> Int {
    guard prefix.count >= lengthByteCount, fileByteCount >= lengthByteCount else {
      throw SafetensorsError(
        .malformedHeader, file: file, "has \(fileByteCount) bytes, too few for a safetensors header")
    }
    let length = prefix[..<lengthByteCount].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= UInt64(byteCountLimit) else {
      throw SafetensorsError(
        .malformedHeader, file: file, byteOffset: 0,
        "announces a header of \(length) bytes, more than the limit of \(byteCountLimit)")
    }
    guard Int(length) <= fileByteCount - lengthByteCount else {
      throw SafetensorsError(
        .malformedHeader, file: file, byteOffset: 0,
        "announces a header of \(length) bytes, but has only \(fileByteCount - lengthByteCount) after the length")
    }
    return Int(length)
  }

  /// Parses the header's JSON and checks it against the size of the data behind it.
  init(parsing json: [UInt8], dataByteCount: Int, file: String) throws(SafetensorsError) {
    let tensors: ParsedHeader
    do throws(JSONError) {
      tensors = try ParsedHeader(json)
    } catch {
      throw SafetensorsError(
        .malformedHeader, file: file, byteOffset: Self.lengthByteCount + error.byteOffset, error.message)
    }
    metadata = tensors.metadata
    entries.reserveCapacity(tensors.tensors.count)
    for tensor in tensors.tensors { entries.append(try Self.entry(tensor, file: file)) }
    // Empty tensors come before the tensor that starts at the same byte, whose end is later.
    entries.sort { left, right in
      let (left, right) = (left.byteRange, right.byteRange)
      return (left.lowerBound, left.upperBound) < (right.lowerBound, right.upperBound)
    }
    try checkLayout(dataByteCount: dataByteCount, file: file)
  }

  private static func entry(_ tensor: ParsedHeader.Tensor, file: String) throws(SafetensorsError) -> Entry {
    func failure(_ kind: SafetensorsError.Kind, _ message: String) -> SafetensorsError {
      SafetensorsError(
        kind, file: file, tensor: tensor.name, byteOffset: lengthByteCount + tensor.byteOffset, message)
    }
    guard let elementType = ElementType(safetensorsName: tensor.elementTypeName) else {
      let known = ElementType.allCases.map(\.safetensorsName).joined(separator: ", ")
      throw failure(
        .unsupportedElementType, "has dtype '\(printable(tensor.elementTypeName))'; Fovea reads \(known)")
    }
    // The product leaves out zeros: strides are products of some dimensions and must not overflow either.
    var nonZeroByteCount = elementType.byteCount
    for size in tensor.shape where size != 0 {
      let (product, overflows) = nonZeroByteCount.multipliedReportingOverflow(by: size)
      guard !overflows else { throw failure(.invalidLayout, "has a shape too large to count, \(tensor.shape)") }
      nonZeroByteCount = product
    }
    let byteCount = tensor.shape.contains(0) ? 0 : nonZeroByteCount
    guard tensor.begin <= tensor.end else {
      throw failure(.invalidLayout, "has data_offsets [\(tensor.begin), \(tensor.end)] that run backwards")
    }
    guard tensor.end - tensor.begin == byteCount else {
      throw failure(
        .invalidLayout,
        "has shape \(tensor.shape) of \(elementType), \(byteCount) bytes, but its data_offsets "
          + "[\(tensor.begin), \(tensor.end)] hold \(tensor.end - tensor.begin)")
    }
    return Entry(
      name: tensor.name, elementType: elementType, shape: tensor.shape, byteRange: tensor.begin..<tensor.end,
      byteOffset: lengthByteCount + tensor.byteOffset)
  }

  /// The tensors must tile the data: no holes, no overlaps, nothing after the last.
  private func checkLayout(dataByteCount: Int, file: String) throws(SafetensorsError) {
    var end = 0
    for entry in entries {
      let begin = entry.byteRange.lowerBound
      guard begin == end else {
        let fault = begin < end ? "overlaps the tensor before it" : "leaves a hole after the tensor before it"
        throw SafetensorsError(
          .invalidLayout, file: file, tensor: entry.name, byteOffset: entry.byteOffset,
          "starts at byte \(begin) of the data and \(fault), which ends at byte \(end)")
      }
      end = entry.byteRange.upperBound
      guard end <= dataByteCount else {
        throw SafetensorsError(
          .invalidLayout, file: file, tensor: entry.name, byteOffset: entry.byteOffset,
          "ends at byte \(end) of the data, but the file has only \(dataByteCount): it is cut short")
      }
    }
    guard end == dataByteCount else {
      throw SafetensorsError(
        .invalidLayout, file: file, "has \(dataByteCount - end) bytes after the end of its last tensor")
    }
  }
}
