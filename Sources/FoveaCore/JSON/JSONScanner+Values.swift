extension JSONScanner {
  // MARK: Strings

  /// Reads a string, with all escapes of RFC 8259. Invalid UTF-8, control characters and lone surrogates are refused.
  package mutating func string() throws(JSONError) -> String {
    skipWhiteSpace()
    try take(UInt8(ascii: "\""), "a string")
    let start = offset
    while let byte = nextByte, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { offset += 1 }
    if nextByte == UInt8(ascii: "\"") {
      offset += 1
      return try text(bytes[start..<offset - 1], at: start)
    }
    return try stringWithEscapes(start)
  }

  /// Goes on with a string from its first byte that is not taken as it is.
  private mutating func stringWithEscapes(_ start: Int) throws(JSONError) -> String {
    var content = Array(bytes[start..<offset])
    try appendRestOfString(startingAt: start, to: &content)
    return try text(content[...], at: start)
  }

  /// Reads the rest of a string, up to its closing quote.
  mutating func appendRestOfString(startingAt start: Int, to content: inout [UInt8]) throws(JSONError) {
    while let byte = nextByte {
      switch byte {
      case UInt8(ascii: "\""):
        offset += 1
        return
      case UInt8(ascii: "\\"):
        try appendEscape(to: &content)
      case 0..<0x20:
        throw JSONError("a control character in a string must be escaped", byteOffset: offset)
      default:
        content.append(byte)
        offset += 1
      }
    }
    throw JSONError("a string without its closing quote", byteOffset: start - 1)
  }

  private func text(_ content: ArraySlice<UInt8>, at start: Int) throws(JSONError) -> String {
    guard let text = String(validating: content, as: UTF8.self) else {
      throw JSONError("a string that is not UTF-8", byteOffset: start)
    }
    return text
  }

  private mutating func appendEscape(to content: inout [UInt8]) throws(JSONError) {
    let start = offset
    offset += 1
    guard let kind = nextByte else { throw unexpected("an escape") }
    offset += 1
    switch kind {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(kind)
    case UInt8(ascii: "b"): content.append(0x08)
    case UInt8(ascii: "f"): content.append(0x0C)
    case UInt8(ascii: "n"): content.append(0x0A)
    case UInt8(ascii: "r"): content.append(0x0D)
    case UInt8(ascii: "t"): content.append(0x09)
    case UInt8(ascii: "u"):
      var value = try hexadecimalDigits()
      if (0xD800..<0xDC00).contains(value), nextByte == UInt8(ascii: "\\") {
        offset += 1
        try take(UInt8(ascii: "u"), "the second half of a surrogate pair")
        let low = try hexadecimalDigits()
        guard (0xDC00..<0xE000).contains(low) else { throw JSONError("a lone surrogate", byteOffset: start) }
        value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(value) else { throw JSONError("a lone surrogate", byteOffset: start) }
      content.append(contentsOf: Array(String(Character(scalar)).utf8))
    default: throw JSONError("an unknown escape", byteOffset: start)
    }
  }

  private mutating func hexadecimalDigits() throws(JSONError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      let digit: UInt8
      switch nextByte {
      case let byte? where isDigit(byte): digit = byte - UInt8(ascii: "0")
      case let byte? where (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20):
        digit = (byte | 0x20) - UInt8(ascii: "a") + 10
      default: throw unexpected("four hexadecimal digits")
      }
      value = value << 4 | UInt32(digit)
      offset += 1
    }
    return value
  }

  // MARK: Numbers

  /// Reads a number and gives it as it is written.
  package mutating func number() throws(JSONError) -> String {
    skipWhiteSpace()
    let start = offset
    if nextByte == UInt8(ascii: "-") { offset += 1 }
    if nextByte == UInt8(ascii: "0") {
      offset += 1
      if let byte = nextByte, isDigit(byte) { throw JSONError("a number with a leading zero", byteOffset: start) }
    } else {
      try digits("a number")
    }
    if nextByte == UInt8(ascii: ".") {
      offset += 1
      try digits("digits after the decimal point")
    }
    if let byte = nextByte, byte | 0x20 == UInt8(ascii: "e") {
      offset += 1
      if let sign = nextByte, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { offset += 1 }
      try digits("digits of an exponent")
    }
    return String(decoding: bytes[start..<offset], as: UTF8.self)
  }

  /// Reads an integer from 0 to `Int.max`, written without sign, fraction and exponent.
  package mutating func nonNegativeInteger() throws(JSONError) -> Int {
    skipWhiteSpace()
    let start = offset
    var value = 0
    while let byte = nextByte, isDigit(byte) {
      let (product, productOverflows) = value.multipliedReportingOverflow(by: 10)
      let (sum, sumOverflows) = product.addingReportingOverflow(Int(byte - UInt8(ascii: "0")))
      guard !productOverflows, !sumOverflows else {
        throw JSONError("an integer larger than \(Int.max)", byteOffset: start)
      }
      value = sum
      offset += 1
    }
    guard offset > start else { throw unexpected("a non-negative integer") }
    guard offset == start + 1 || bytes[start] != UInt8(ascii: "0") else {
      throw JSONError("a number with a leading zero", byteOffset: start)
    }
    if let byte = nextByte, byte == UInt8(ascii: ".") || byte | 0x20 == UInt8(ascii: "e") {
      throw JSONError("expected a non-negative integer, found a number with a fraction or exponent", byteOffset: start)
    }
    return value
  }

  private mutating func digits(_ expected: String) throws(JSONError) {
    guard let byte = nextByte, isDigit(byte) else { throw unexpected(expected) }
    while let byte = nextByte, isDigit(byte) { offset += 1 }
  }

  private func isDigit(_ byte: UInt8) -> Bool {
    byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
  }

  // MARK: Literals

  /// Reads `true`, `false` or `null` (nil).
  package mutating func literal() throws(JSONError) -> Bool? {
    skipWhiteSpace()
    for (word, value) in [("true", true), ("false", false), ("null", nil)] as [(StaticString, Bool?)] {
      let length = word.utf8CodeUnitCount
      guard bytes.count - offset >= length else { continue }
      if bytes[offset..<offset + length].elementsEqual(word.description.utf8) {
        offset += length
        return value
      }
    }
    throw unexpected("true, false or null")
  }
}
