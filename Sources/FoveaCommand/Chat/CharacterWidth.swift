extension Character {
  /// The columns that a terminal takes for the character: 2 for East Asian wide ones and emoji, 0 for lone marks.
  var columnCount: Int {
    if unicodeScalars.contains(where: { $0 == "\u{FE0F}" || $0.properties.isEmojiPresentation }) { return 2 }
    guard let first = unicodeScalars.first else { return 0 }
    switch first.properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format, .control: return 0
    default: return Self.wideRanges.contains { $0.contains(first.value) } ? 2 : 1
    }
  }

  /// Unicode's East_Asian_Width W and F, in blocks.
  private static let wideRanges: [ClosedRange<UInt32>] = [
    0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF,
    0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE10...0xFE19, 0xFE30...0xFE6F, 0xFF00...0xFF60,
    0xFFE0...0xFFE6, 0x1B000...0x1B2FF, 0x20000...0x3FFFD,
  ]
}

extension Collection<Character> {
  /// The columns of all characters.
  var columnCount: Int { reduce(0) { $0 + $1.columnCount } }
}
