/// A token whose spelling stands for it wherever it occurs in a text, as Hugging Face's `AddedToken`.
struct AddedToken: Sendable, Equatable {
  var token: Int
  var text: String
  var isSpecial: Bool
  /// Whether whitespace before it belongs to it.
  var stripsLeft = false
  /// Whether whitespace after it belongs to it.
  var stripsRight = false
}

/// Finds added tokens in texts: at each place the longest one, from the left.
struct AddedTokenSplitter: Sendable {
  /// A part of a text.
  enum Segment: Equatable {
    case text(Range<Int>)
    case token(Int)
  }

  private struct Entry {
    let bytes: [UInt8]
    let token: AddedToken
  }

  /// The tokens that begin with each byte, longest first.
  private let entriesByFirstByte: [[Entry]]

  init(_ tokens: [AddedToken]) {
    var entries = [[Entry]](repeating: [], count: 256)
    for token in tokens {
      let bytes = Array(token.text.utf8)
      guard let first = bytes.first else { continue }
      entries[Int(first)].append(Entry(bytes: bytes, token: token))
    }
    entriesByFirstByte = entries.map { $0.sorted { $0.bytes.count > $1.bytes.count } }
  }

  /// The parts of `bytes` in order, without empty texts.
  func split(_ bytes: [UInt8]) -> [Segment] {
    var segments: [Segment] = []
    var textStart = 0
    var position = 0
    while position < bytes.count {
      guard let entry = match(in: bytes, at: position) else {
        position += 1
        continue
      }
      var textEnd = position
      if entry.token.stripsLeft { textEnd = bytes[textStart..<position].endWithoutTrailingWhitespace }
      if textStart < textEnd { segments.append(.text(textStart..<textEnd)) }
      segments.append(.token(entry.token.token))
      position += entry.bytes.count
      if entry.token.stripsRight { position = bytes[position...].startWithoutLeadingWhitespace }
      textStart = position
    }
    if textStart < bytes.count { segments.append(.text(textStart..<bytes.count)) }
    return segments
  }

  private func match(in bytes: [UInt8], at position: Int) -> Entry? {
    entriesByFirstByte[Int(bytes[position])].first { bytes[position...].starts(with: $0.bytes) }
  }
}

extension ArraySlice<UInt8> {
  /// Where the text begins after whitespace in Unicode's sense.
  fileprivate var startWithoutLeadingWhitespace: Int {
    var start = startIndex
    while start < endIndex {
      let byteCount = Swift.min(bytesOfCharacter(startingWith: self[start]), endIndex - start)
      guard isWhitespace(self[start..<start + byteCount]) else { break }
      start += byteCount
    }
    return start
  }

  /// Where the text ends before whitespace in Unicode's sense.
  fileprivate var endWithoutTrailingWhitespace: Int {
    var end = endIndex
    while end > startIndex {
      var start = end - 1
      while start > startIndex, self[start] & 0xC0 == 0x80 { start -= 1 }
      guard isWhitespace(self[start..<end]) else { break }
      end = start
    }
    return end
  }

  private func isWhitespace(_ character: ArraySlice<UInt8>) -> Bool {
    guard let text = String(validating: character, as: UTF8.self) else { return false }
    // Python's strip(), which the reference uses, takes the four separators from U+001C too.
    return text.unicodeScalars.allSatisfy { $0.properties.isWhitespace || (0x1C...0x1F).contains($0.value) }
  }

  private func bytesOfCharacter(startingWith byte: UInt8) -> Int {
    switch byte {
    case 0xC0...0xDF: 2
    case 0xE0...0xEF: 3
    case 0xF0...0xF7: 4
    default: 1
    }
  }
}
