/// Reads the fields of one protobuf message, checking every length against the message's end.
///
/// Format: https://protobuf.dev/programming-guides/encoding. Groups, which nothing in use writes, are refused, so that
/// nesting is only as deep as the reader's callers go.
struct ProtobufReader {
  /// A field's value as the wire has it; `bytes` is where in the file it lies.
  enum Value: Equatable {
    case varint(UInt64)
    case fixed32(UInt32)
    case fixed64
    case bytes(Range<Int>)
  }

  /// A field and where it begins in the file.
  struct Field {
    let number: Int
    let value: Value
    let offset: Int
    let messageName: String
    let file: String
  }

  private let file: String
  private let messageName: String
  private let bytes: [UInt8]
  private var position: Int
  private let end: Int

  /// Reads the message that lies in `range` of a file's bytes; `messageName` is for errors.
  init(_ messageName: String, in bytes: [UInt8], range: Range<Int>, file: String) {
    self.messageName = messageName
    self.bytes = bytes
    self.file = file
    position = range.lowerBound
    end = range.upperBound
  }

  /// The next field, or nil at the message's end.
  mutating func next() throws(TokenizerError) -> Field? {
    guard position < end else { return nil }
    let offset = position
    let key = try varint()
    guard let number = Int(exactly: key >> 3), (1..<1 << 29).contains(number) else {
      throw malformed("field number \(key >> 3) at byte \(offset) is out of range")
    }
    let value: Value
    switch key & 7 {
    case 0: value = .varint(try varint())
    case 1:
      _ = try take(8, "a 64-bit value")
      value = .fixed64
    case 2:
      let byteCount = try varint()
      guard let byteCount = Int(exactly: byteCount) else {
        throw malformed("field \(number) at byte \(offset) claims \(byteCount) bytes")
      }
      value = .bytes(try take(byteCount, "field \(number)"))
    case 5:
      let range = try take(4, "a 32-bit value")
      value = .fixed32(bytes[range].reversed().reduce(0) { $0 << 8 | UInt32($1) })
    case let wireType: throw malformed("field \(number) at byte \(offset) has unknown wire type \(wireType)")
    }
    return Field(number: number, value: value, offset: offset, messageName: messageName, file: file)
  }

  private mutating func varint() throws(TokenizerError) -> UInt64 {
    let offset = position
    var result: UInt64 = 0
    var shift = 0
    while position < end, shift < 64 {
      let byte = bytes[position]
      position += 1
      // The tenth byte has room for one bit only.
      guard shift < 63 || byte <= 1 else { break }
      result |= UInt64(byte & 0x7F) << UInt64(shift)
      if byte < 0x80 { return result }
      shift += 7
    }
    throw malformed("the number at byte \(offset) has no end")
  }

  private mutating func take(_ byteCount: Int, _ what: String) throws(TokenizerError) -> Range<Int> {
    guard byteCount <= end - position else {
      throw malformed("\(what) at byte \(position) has \(byteCount) bytes, but only \(end - position) are left")
    }
    defer { position += byteCount }
    return position..<position + byteCount
  }

  private func malformed(_ message: String) -> TokenizerError {
    TokenizerError(.malformedFile, file: file, "\(messageName): \(message)")
  }
}

extension ProtobufReader.Field {
  /// The value as the range of a string, bytes or a message.
  func range() throws(TokenizerError) -> Range<Int> {
    guard case .bytes(let range) = value else { throw malformed("is not text or a message") }
    return range
  }

  /// The value as a Boolean.
  func bool() throws(TokenizerError) -> Bool {
    guard case .varint(let number) = value else { throw malformed("is not a Boolean") }
    return number != 0
  }

  /// The value as a 32-bit integer; a negative one is written with 64 bits.
  func integer() throws(TokenizerError) -> Int {
    guard case .varint(let bits) = value, let number = Int32(exactly: Int64(bitPattern: bits)) else {
      throw malformed("is not a 32-bit integer")
    }
    return Int(number)
  }

  /// The value as a finite float32.
  func finiteFloat() throws(TokenizerError) -> Float {
    guard case .fixed32(let bits) = value else { throw malformed("is not a float32") }
    let number = Float(bitPattern: bits)
    guard number.isFinite else { throw malformed("is \(number), expected a finite number") }
    return number
  }

  /// The value as UTF-8 text.
  func text(in bytes: [UInt8]) throws(TokenizerError) -> String {
    guard let text = String(validating: bytes[try range()], as: UTF8.self) else {
      throw malformed("is not valid UTF-8")
    }
    return text
  }

  /// An error about this field.
  func malformed(_ message: String) -> TokenizerError {
    TokenizerError(.malformedFile, file: file, "\(messageName): field \(number) at byte \(offset) \(message)")
  }
}
