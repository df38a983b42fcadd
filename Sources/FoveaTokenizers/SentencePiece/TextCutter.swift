/// Finds where a text may be cut so that its parts have the tokens of the whole.
///
/// BPE joins neighbours only to pieces of the vocabulary. Where no piece holds a letter or digit before a space, none
/// ever reaches over such a place, and what is merged on one side does not depend on the other. Unigram models are not
/// cut: the sums of their scores would be rounded in another order.
package struct TextCutter: Sendable {
  /// Whether the library puts the space itself that a part after a cut begins with.
  private let dropsSpace: Bool

  /// Nil for a model whose texts must stay whole.
  package init?(_ model: SentencePieceModel) {
    let space = String(spaceSymbol)
    guard model.algorithm == .bytePairEncoding, model.characterMap.isEmpty, model.escapesWhitespaces,
      !model.treatsWhitespaceAsSuffix, model.addsDummyPrefix || !model.removesExtraWhitespaces,
      model.pieces.contains(where: { $0.kind == .normal && $0.text == space }),
      !model.pieces.contains(where: { Self.reachesOverSpace($0.text) })
    else { return nil }
    dropsSpace = model.addsDummyPrefix
  }

  /// Whether a letter or digit comes before a space, which user-defined pieces may spell as it is.
  private static func reachesOverSpace(_ piece: String) -> Bool {
    var previous: UInt8 = 0
    for byte in piece.utf8 {
      // U+2581 and its neighbours: what is taken for a space too often is only not cut.
      if byte == 0xE2 || byte == UInt8(ascii: " "), isWordByte(previous) { return true }
      previous = byte
    }
    return false
  }

  private static func isWordByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: false
    }
  }

  /// The first place from `position` on for a cut: where the part before it ends, and where the next one begins.
  package func cut(_ bytes: [UInt8], from position: Int) -> (end: Int, next: Int)? {
    guard position < bytes.count else { return nil }
    var space = max(1, position)
    while space + 1 < bytes.count {
      // One space between words: of several the library may keep one.
      if bytes[space] == UInt8(ascii: " "), Self.isWordByte(bytes[space - 1]), Self.isWordByte(bytes[space + 1]) {
        return (space, dropsSpace ? space + 1 : space)
      }
      space += 1
    }
    return nil
  }
}
