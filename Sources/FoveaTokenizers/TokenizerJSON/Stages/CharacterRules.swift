/// The rules of a SentencePiece character map, as Hugging Face's normalizer `Precompiled` applies them: to whole
/// grapheme clusters of at most 5 bytes, otherwise to single characters. The format is that of ``CharacterMap``.
struct CharacterRules: Sendable {
  private let units: [UInt32]
  private let replacements: [UInt8]

  /// - Throws: `malformedFile` where a text could lead out of the map.
  init(_ map: [UInt8], file: String) throws(TokenizerError) {
    try CharacterMap.validate(map, file: file)
    func unit(_ start: Int) -> UInt32 {
      UInt32(map[start]) | UInt32(map[start + 1]) << 8 | UInt32(map[start + 2]) << 16 | UInt32(map[start + 3]) << 24
    }
    let trieByteCount = Int(unit(0))
    units = stride(from: 4, to: 4 + trieByteCount, by: 4).map(unit)
    replacements = Array(map[(4 + trieByteCount)...])
  }

  func normalized(_ text: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 4)
    for grapheme in String(decoding: text, as: UTF8.self) {
      let bytes = Array(grapheme.utf8)
      if bytes.count < 6, let replacement = replacement(of: bytes[...]) {
        result.append(contentsOf: replacement)
        continue
      }
      var index = 0
      while index < bytes.count {
        let end = index + [UInt8].characterByteCount(bytes[index])
        result.append(contentsOf: replacement(of: bytes[index..<end]) ?? bytes[index..<end])
        index = end
      }
    }
    return result
  }

  /// What stands for `key`: the rule of its shortest beginning that has one, as in the reference.
  private func replacement(of key: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    var position = offset(units[0])
    for byte in key {
      guard byte != 0 else { return nil }
      position ^= Int(byte)
      let unit = units[position]
      guard unit & 0x8000_00FF == UInt32(byte) else { return nil }
      position ^= offset(unit)
      if unit >> 8 & 1 != 0 {
        let rest = replacements[Int(units[position] & 0x7FFF_FFFF)...]
        return rest.prefix { $0 != 0 }
      }
    }
    return nil
  }

  private func offset(_ unit: UInt32) -> Int {
    Int((unit >> 10) << ((unit & 1 << 9) >> 6))
  }
}
