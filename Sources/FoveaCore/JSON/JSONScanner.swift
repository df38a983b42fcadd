/// What is wrong with a JSON text, and where.
package struct JSONError: Error, Sendable, Equatable {
  /// What was expected or found, without the offset.
  package let message: String
  /// The offset of the culprit in the text, in bytes.
  package let byteOffset: Int

  package init(_ message: String, byteOffset: Int) {
    self.message = message
    self.byteOffset = byteOffset
  }
}

/// Reads JSON (RFC 8259) piece by piece, strictly.
///
/// Foundation's decoder accepts duplicate keys and gives no byte offsets, and builds a tree where a model's header may
/// have 100 000 tensors. This scanner takes UTF-8 only, no comments, no trailing commas, no NaN, and no more than
/// ``depthLimit`` levels, so that hostile nesting cannot exhaust the stack.
package struct JSONScanner: Sendable {
  /// The text.
  let bytes: [UInt8]
  /// The next byte to read.
  package internal(set) var offset = 0
  /// Where the key that ``nextKey(_:)`` gave last starts.
  package internal(set) var keyOffset = 0
  private var depth = 0

  /// How deep objects and arrays may be nested.
  package static let depthLimit = 64

  package init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  /// The kind of value that starts at the next byte that is not white space.
  package enum ValueKind: Sendable {
    case object, array, string, number, literal
  }

  package mutating func nextValueKind() throws(JSONError) -> ValueKind {
    skipWhiteSpace()
    return switch nextByte {
    case UInt8(ascii: "{"): .object
    case UInt8(ascii: "["): .array
    case UInt8(ascii: "\""): .string
    case UInt8(ascii: "-"): .number
    case let byte? where byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9"): .number
    case UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"): .literal
    default: throw unexpected("a value")
    }
  }

  // MARK: Objects and arrays

  /// Reads the opening brace of an object; then call ``nextKey(_:)`` until it gives nil.
  package mutating func enterObject() throws(JSONError) {
    try enter(UInt8(ascii: "{"), "an object")
  }

  /// Reads the next key of an object and its colon, or the closing brace (nil).
  ///
  /// - Parameter isFirst: true before the first call for an object; set to false.
  package mutating func nextKey(_ isFirst: inout Bool) throws(JSONError) -> String? {
    guard try nextItem(&isFirst, closing: UInt8(ascii: "}"), "',' or '}'") else { return nil }
    keyOffset = offset
    let key = try string()
    skipWhiteSpace()
    try take(UInt8(ascii: ":"), "':'")
    return key
  }

  /// Reads the opening bracket of an array; then call ``nextElement(_:)`` before each element until it gives false.
  package mutating func enterArray() throws(JSONError) {
    try enter(UInt8(ascii: "["), "an array")
  }

  /// Whether another element follows; reads the comma before it, or the closing bracket.
  package mutating func nextElement(_ isFirst: inout Bool) throws(JSONError) -> Bool {
    try nextItem(&isFirst, closing: UInt8(ascii: "]"), "',' or ']'")
  }

  private mutating func enter(_ opening: UInt8, _ expected: String) throws(JSONError) {
    skipWhiteSpace()
    let start = offset
    try take(opening, expected)
    depth += 1
    guard depth <= Self.depthLimit else {
      throw JSONError("more than \(Self.depthLimit) nested objects and arrays", byteOffset: start)
    }
  }

  mutating func nextItem(
    _ isFirst: inout Bool, closing: UInt8, _ expected: String
  ) throws(JSONError) -> Bool {
    skipWhiteSpace()
    if nextByte == closing {
      offset += 1
      depth -= 1
      return false
    }
    if !isFirst {
      try take(UInt8(ascii: ","), expected)
      skipWhiteSpace()
    }
    isFirst = false
    return true
  }

  // MARK: Bytes

  /// The next byte, or nil at the end.
  var nextByte: UInt8? { offset < bytes.count ? bytes[offset] : nil }

  package mutating func skipWhiteSpace() {
    while offset < bytes.count {
      switch bytes[offset] {
      case 0x20, 0x09, 0x0A, 0x0D: offset += 1
      default: return
      }
    }
  }

  /// Fails unless only white space is left.
  package mutating func expectEnd() throws(JSONError) {
    skipWhiteSpace()
    if offset < bytes.count { throw unexpected("the end of the text") }
  }

  mutating func take(_ byte: UInt8, _ expected: String) throws(JSONError) {
    guard nextByte == byte else { throw unexpected(expected) }
    offset += 1
  }

  func unexpected(_ expected: String) -> JSONError {
    let found: String
    switch nextByte {
    case nil: found = "the end of the text"
    case let byte? where byte > 0x20 && byte < 0x7F: found = "'\(Character(Unicode.Scalar(byte)))'"
    case let byte?: found = "the byte 0x" + String(byte, radix: 16)
    }
    return JSONError("expected \(expected), found \(found)", byteOffset: offset)
  }
}
