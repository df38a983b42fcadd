extension JSONScanner {
  /// Reads a string and appends its bytes to `content`, which saves a `String` for each entry of a large table.
  ///
  /// That the text is UTF-8 is the caller's to check, once for the whole.
  ///
  /// - Returns: where in `content` the string lies.
  package mutating func stringBytes(appendingTo content: inout [UInt8]) throws(JSONError) -> Range<Int> {
    skipWhiteSpace()
    try take(UInt8(ascii: "\""), "a string")
    let start = offset
    let contentStart = content.count
    var end = offset
    while end < bytes.count, bytes[end] != UInt8(ascii: "\""), bytes[end] != UInt8(ascii: "\\"), bytes[end] >= 0x20 {
      end += 1
    }
    content.append(contentsOf: bytes[start..<end])
    offset = end
    if nextByte == UInt8(ascii: "\"") {
      offset += 1
    } else {
      try appendRestOfString(startingAt: start, to: &content)
    }
    return contentStart..<content.count
  }

  /// Reads the next key of an object as bytes, and its colon, or the closing brace (nil).
  package mutating func nextKeyBytes(
    _ isFirst: inout Bool, appendingTo content: inout [UInt8]
  ) throws(JSONError) -> Range<Int>? {
    guard try nextItem(&isFirst, closing: UInt8(ascii: "}"), "',' or '}'") else { return nil }
    keyOffset = offset
    let range = try stringBytes(appendingTo: &content)
    skipWhiteSpace()
    try take(UInt8(ascii: ":"), "':'")
    return range
  }
}
