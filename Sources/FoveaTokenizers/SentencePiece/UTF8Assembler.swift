/// Joins bytes that come one at a time to characters; each byte that cannot belong to one becomes U+FFFD.
struct UTF8Assembler {
  private var pending: [UInt8] = []

  /// Takes a byte and returns what is certain now: nothing, a character, or replacements and perhaps a character.
  mutating func append(_ byte: UInt8) -> String {
    pending.append(byte)
    return drain(isFinal: false)
  }

  /// Returns one U+FFFD for each byte of an unfinished character.
  mutating func finish() -> String {
    pending.isEmpty ? "" : drain(isFinal: true)
  }

  private mutating func drain(isFinal: Bool) -> String {
    var text = ""
    while let first = pending.first {
      let byteCount = UTF8Assembler.byteCount(ofCharacterBeginningWith: first)
      let trailing = pending.dropFirst().prefix(byteCount - 1).prefix { $0 & 0xC0 == 0x80 }.count
      let isBroken = trailing + 1 < byteCount && (isFinal || trailing + 1 < pending.count)
      if !isBroken, pending.count < byteCount { break }
      if !isBroken, let character = String(validating: pending.prefix(byteCount), as: UTF8.self) {
        text += character
        pending.removeFirst(byteCount)
      } else {
        text += "\u{FFFD}"
        pending.removeFirst()
      }
    }
    return text
  }

  /// 1 for bytes that begin no character too: alone they are found to be invalid.
  private static func byteCount(ofCharacterBeginningWith byte: UInt8) -> Int {
    switch byte {
    case 0xC0...0xDF: 2
    case 0xE0...0xEF: 3
    case 0xF0...0xF7: 4
    default: 1
    }
  }
}
