package import FoveaCore

/// What the header of a safetensors file says, checked against every rule of the format.
package struct SafetensorsHeader: Sendable {
  /// One tensor's type, shape and place in the data section.
  package struct Entry: Sendable, Equatable {
    package let elementType: ElementType
    package let shape: [Int]
    package let bytes: Range<Int>
  }

  /// The largest header that the reference implementation reads.
  package static let maximumByteCount = 100_000_000

  package private(set) var metadata: [String: String] = [:]
  package private(set) var entries: [String: Entry] = [:]
  /// The names in the order of their data.
  package private(set) var names: [String] = []

  /// Reads the header of a file whose data section holds `dataByteCount` bytes. `path` is for errors only.
  package init(_ bytes: UnsafeRawBufferPointer, dataByteCount: Int, path: String) throws(SafetensorsError) {
    var scanner = HeaderScanner(bytes)
    do throws(HeaderScanner.Fault) {
      var hasMetadata = false
      guard scanner.peek() == 0x7B, scanner.offset == 0 else { throw scanner.fault("expected '{'") }
      try scanner.object { (name, scanner) throws(HeaderScanner.Fault) in
        if name == "__metadata__" {
          guard !hasMetadata else { throw scanner.fault("the name '__metadata__' occurs twice") }
          hasMetadata = true
          try readMetadata(&scanner)
          return
        }
        guard entries[name] == nil else { throw scanner.fault("the tensor name '\(name)' occurs twice") }
        entries[name] = try Self.readEntry(name, &scanner)
      }
      try scanner.end()
    } catch {
      let kind: SafetensorsError.Kind =
        error.message.hasSuffix("twice")
        ? .duplicateName : error.message.contains("element type") ? .elementType : .header
      throw SafetensorsError(
        kind: kind, path: path, message: "header: \(error.message) at byte \(8 + error.offset)")
    }
    try checkOffsets(dataByteCount: dataByteCount, path: path)
  }

  private mutating func readMetadata(_ scanner: inout HeaderScanner) throws(HeaderScanner.Fault) {
    var metadata: [String: String] = [:]
    try scanner.object { (key, scanner) throws(HeaderScanner.Fault) in
      guard metadata[key] == nil else { throw scanner.fault("the metadata key '\(key)' occurs twice") }
      guard scanner.peek() == 0x22 else { throw scanner.fault("the metadata value of '\(key)' is no string") }
      metadata[key] = try scanner.string()
    }
    self.metadata = metadata
  }

  private static func readEntry(
    _ name: String, _ scanner: inout HeaderScanner
  ) throws(HeaderScanner.Fault) -> Entry {
    var elementType: ElementType?
    var shape: [Int]?
    var offsets: [Int]?
    try scanner.object { (key, scanner) throws(HeaderScanner.Fault) in
      switch key {
      case "dtype":
        guard elementType == nil else { throw scanner.fault("'dtype' of tensor '\(name)' occurs twice") }
        let typeName = try scanner.string()
        elementType = ElementType(safetensorsName: typeName)
        if elementType == nil { throw scanner.fault("tensor '\(name)' has the unknown element type '\(typeName)'") }
      case "shape":
        guard shape == nil else { throw scanner.fault("'shape' of tensor '\(name)' occurs twice") }
        shape = try scanner.wholeNumbers()
      case "data_offsets":
        guard offsets == nil else { throw scanner.fault("'data_offsets' of tensor '\(name)' occurs twice") }
        offsets = try scanner.wholeNumbers()
      default: throw scanner.fault("tensor '\(name)' has the unknown member '\(key)'")
      }
    }
    guard let elementType, let shape, let offsets, offsets.count == 2, offsets[0] <= offsets[1] else {
      throw scanner.fault("tensor '\(name)' needs 'dtype', 'shape' and two ascending 'data_offsets'")
    }
    return Entry(elementType: elementType, shape: shape, bytes: offsets[0]..<offsets[1])
  }

  /// Checks that the tensors fill the data section without holes or overlaps, each as long as its shape asks for.
  private mutating func checkOffsets(dataByteCount: Int, path: String) throws(SafetensorsError) {
    func offsetError(_ message: String) -> SafetensorsError {
      SafetensorsError(kind: .offsets, path: path, message: message)
    }
    // Empty tensors share their offset with a neighbour: they come first, then names decide.
    let sorted = entries.sorted {
      ($0.value.bytes.lowerBound, $0.value.bytes.upperBound, $0.key)
        < ($1.value.bytes.lowerBound, $1.value.bytes.upperBound, $1.key)
    }
    var end = 0
    for (name, entry) in sorted {
      var byteCount = entry.elementType.byteCount
      for size in entry.shape {
        let (product, overflows) = byteCount.multipliedReportingOverflow(by: size)
        guard !overflows else { throw offsetError("tensor '\(name)' of shape \(entry.shape) is too large") }
        byteCount = product
      }
      guard byteCount == entry.bytes.count else {
        throw offsetError(
          "tensor '\(name)' of shape \(entry.shape) and type \(entry.elementType) takes \(byteCount) bytes, its offsets "
            + "\(entry.bytes.lowerBound) to \(entry.bytes.upperBound) hold \(entry.bytes.count)")
      }
      guard entry.bytes.lowerBound == end else {
        let what = entry.bytes.lowerBound < end ? "overlaps the tensor before it" : "leaves a hole before it"
        throw offsetError("tensor '\(name)' begins at offset \(entry.bytes.lowerBound), not \(end): it \(what)")
      }
      end = entry.bytes.upperBound
    }
    guard end == dataByteCount else {
      throw SafetensorsError(
        kind: .length, path: path,
        message: "the tensors take \(end) bytes, the file holds \(dataByteCount) after its header")
    }
    names = sorted.map(\.key)
  }
}

extension ElementType {
  /// The type that safetensors calls `name`; nil for one that is not supported.
  init?(safetensorsName name: String) {
    guard let type = Self.allCases.first(where: { $0.safetensorsName == name }) else { return nil }
    self = type
  }

  /// What safetensors calls this type.
  var safetensorsName: String {
    switch self {
    case .bool: "BOOL"
    case .uint8: "U8"
    case .int8: "I8"
    case .uint16: "U16"
    case .int16: "I16"
    case .uint32: "U32"
    case .int32: "I32"
    case .uint64: "U64"
    case .int64: "I64"
    case .float16: "F16"
    case .bfloat16: "BF16"
    case .float32: "F32"
    case .float64: "F64"
    }
  }
}
