/// A strict reader of the JSON that safetensors headers hold: objects, strings, and arrays of whole numbers.
///
/// Foundation's decoder takes duplicate keys, which the format forbids. Errors carry the byte offset in the file.
struct HeaderScanner {
  /// What is wrong with a header, and where.
  struct Fault: Error {
    var message: String
    var offset: Int
  }

  private let bytes: UnsafeRawBufferPointer
  private var index = 0

  init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
  }

  var offset: Int { index }

  func fault(_ message: String) -> Fault { Fault(message: message, offset: index) }

  private mutating func skipSpace() {
    while index < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[index]) { index += 1 }
  }

  /// The next byte that is not white space, without taking it; nil at the end.
  mutating func peek() -> UInt8? {
    skipSpace()
    return index < bytes.count ? bytes[index] : nil
  }

  mutating func expect(_ character: Character) throws(Fault) {
    guard let wanted = character.asciiValue, peek() == wanted else {
      throw fault("expected '\(character)'")
    }
    index += 1
  }

  private mutating func takes(_ character: Character) -> Bool {
    guard peek() == character.asciiValue else { return false }
    index += 1
    return true
  }

  /// Reads an object; `member` reads the value of each key.
  mutating func object(
    _ member: (_ key: String, _ scanner: inout HeaderScanner) throws(Fault) -> Void
  ) throws(Fault) {
    try expect("{")
    if takes("}") { return }
    repeat {
      let key = try string()
      try expect(":")
      try member(key, &self)
    } while takes(",")
    try expect("}")
  }

  /// Reads an array of whole numbers from 0 to Int.max.
  mutating func wholeNumbers() throws(Fault) -> [Int] {
    try expect("[")
    var numbers: [Int] = []
    if takes("]") { return numbers }
    repeat { numbers.append(try wholeNumber()) } while takes(",")
    try expect("]")
    return numbers
  }

  private mutating func wholeNumber() throws(Fault) -> Int {
    skipSpace()
    let start = index
    var value = 0
    while index < bytes.count, (0x30...0x39).contains(bytes[index]) {
      let (product, overflows) = value.multipliedReportingOverflow(by: 10)
      let (sum, overflowsToo) = product.addingReportingOverflow(Int(bytes[index] - 0x30))
      if overflows || overflowsToo { throw fault("a number is too large") }
      value = sum
      index += 1
    }
    let length = index - start
    if length == 0 || (length > 1 && bytes[start] == 0x30) { throw fault("expected a whole number") }
    return value
  }

  /// Reads a string with all of JSON's escapes.
  mutating func string() throws(Fault) -> String {
    try expect("\"")
    var text: [UInt8] = []
    while index < bytes.count {
      let byte = bytes[index]
      index += 1
      switch byte {
      case 0x22:
        guard let string = String(validating: text, as: UTF8.self) else { throw fault("a string is not valid UTF-8") }
        return string
      case 0x5C: text += try escape()
      case ..<0x20: throw fault("a string holds a control character")
      default: text.append(byte)
      }
    }
    throw fault("a string does not end")
  }

  private mutating func escape() throws(Fault) -> [UInt8] {
    guard index < bytes.count else { throw fault("a string does not end") }
    let byte = bytes[index]
    index += 1
    switch byte {
    case 0x22, 0x5C, 0x2F: return [byte]
    case 0x62: return [0x08]
    case 0x66: return [0x0C]
    case 0x6E: return [0x0A]
    case 0x72: return [0x0D]
    case 0x74: return [0x09]
    case 0x75:
      var code = UInt32(try hexadecimal())
      if (0xD800..<0xDC00).contains(code) {
        guard index + 1 < bytes.count, bytes[index] == 0x5C, bytes[index + 1] == 0x75 else {
          throw fault("half of a surrogate pair")
        }
        index += 2
        let low = UInt32(try hexadecimal())
        guard (0xDC00..<0xE000).contains(low) else { throw fault("half of a surrogate pair") }
        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw fault("half of a surrogate pair") }
      return Array(String(Character(scalar)).utf8)
    default: throw fault("an unknown escape")
    }
  }

  private mutating func hexadecimal() throws(Fault) -> UInt16 {
    var value: UInt16 = 0
    for _ in 0..<4 {
      guard index < bytes.count, let digit = Character(Unicode.Scalar(bytes[index])).hexDigitValue else {
        throw fault("expected 4 hexadecimal digits")
      }
      value = value << 4 | UInt16(digit)
      index += 1
    }
    return value
  }

  /// Checks that nothing but spaces, which writers pad with, follows.
  mutating func end() throws(Fault) {
    while index < bytes.count, bytes[index] == 0x20 { index += 1 }
    guard index == bytes.count else { throw fault("text follows the header's object") }
  }
}
