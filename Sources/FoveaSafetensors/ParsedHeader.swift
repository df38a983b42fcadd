internal import FoveaCore

/// What a header's JSON says, before it is checked against the data.
struct ParsedHeader {
  struct Tensor {
    var name: String
    var elementTypeName: String
    var shape: [Int]
    var begin: Int
    var end: Int
    /// Where the name stands in the JSON.
    var byteOffset: Int
  }

  private(set) var metadata: [String: String] = [:]
  private(set) var tensors: [Tensor] = []

  static let metadataKey = "__metadata__"

  init(_ json: [UInt8]) throws(JSONError) {
    // The format wants the brace first and pads with spaces, so that a header can be told from garbage by one byte.
    guard json.first == UInt8(ascii: "{") else {
      throw JSONError("a header must start with '{'", byteOffset: 0)
    }
    var scanner = JSONScanner(json)
    var names: Set<String> = []
    var isFirst = true
    try scanner.enterObject()
    while let key = try scanner.nextKey(&isFirst) {
      let offset = scanner.keyOffset
      guard names.insert(key).inserted else {
        throw JSONError("the name '\(printable(key))' appears twice", byteOffset: offset)
      }
      if key == Self.metadataKey {
        metadata = try Self.metadata(&scanner)
      } else {
        tensors.append(try Self.tensor(&scanner, name: key, offset: offset))
      }
    }
    for index in scanner.offset..<json.count where json[index] != UInt8(ascii: " ") {
      throw JSONError("only spaces may follow the header's closing brace", byteOffset: index)
    }
  }

  private static func metadata(_ scanner: inout JSONScanner) throws(JSONError) -> [String: String] {
    var metadata: [String: String] = [:]
    var isFirst = true
    try scanner.enterObject()
    while let key = try scanner.nextKey(&isFirst) {
      let offset = scanner.keyOffset
      guard metadata.updateValue(try scanner.string(), forKey: key) == nil else {
        throw JSONError("the metadata key '\(printable(key))' appears twice", byteOffset: offset)
      }
    }
    return metadata
  }

  private static func tensor(_ scanner: inout JSONScanner, name: String, offset: Int) throws(JSONError) -> Tensor {
    var elementTypeName: String?
    var shape: [Int]?
    var offsets: [Int]?
    var others: Set<String> = []
    var isFirst = true
    try scanner.enterObject()
    while let key = try scanner.nextKey(&isFirst) {
      let keyOffset = scanner.keyOffset
      let isNew: Bool
      switch key {
      case "dtype":
        isNew = elementTypeName == nil
        elementTypeName = try scanner.string()
      case "shape":
        isNew = shape == nil
        shape = try scanner.nonNegativeIntegers()
      case "data_offsets":
        isNew = offsets == nil
        let start = scanner.offset
        let pair = try scanner.nonNegativeIntegers()
        guard pair.count == 2 else {
          throw JSONError(
            "tensor '\(printable(name))' has \(pair.count) data_offsets instead of 2", byteOffset: start)
        }
        offsets = pair
      default:
        // The reference ignores what it does not know.
        isNew = others.insert(key).inserted
        _ = try scanner.value()
      }
      guard isNew else {
        throw JSONError(
          "the key '\(printable(key))' of tensor '\(printable(name))' appears twice", byteOffset: keyOffset)
      }
    }
    func missing(_ key: String) -> JSONError {
      JSONError("tensor '\(printable(name))' has no '\(key)'", byteOffset: offset)
    }
    guard let elementTypeName else { throw missing("dtype") }
    guard let shape else { throw missing("shape") }
    guard let offsets else { throw missing("data_offsets") }
    return Tensor(
      name: name, elementTypeName: elementTypeName, shape: shape, begin: offsets[0], end: offsets[1],
      byteOffset: offset)
  }
}

extension JSONScanner {
  fileprivate mutating func nonNegativeIntegers() throws(JSONError) -> [Int] {
    var values: [Int] = []
    var isFirst = true
    try enterArray()
    while try nextElement(&isFirst) { values.append(try nonNegativeInteger()) }
    return values
  }
}
