internal import FoveaCore

extension Normalizer {
  /// The rules of a `normalizer`, in order.
  static func parse(_ reader: ComponentReader, depth: Int = 0) throws(TokenizerError) -> [Normalizer] {
    let type = try reader.string("type")
    switch type {
    case "Sequence":
      try reader.expectOnly("normalizers")
      guard depth < 8 else { throw reader.unsupported("sequences within sequences") }
      var stages: [Normalizer] = []
      for component in try reader.components("normalizers") { stages += try parse(component, depth: depth + 1) }
      return stages
    case "NFC", "NFD", "NFKC", "NFKD":
      try reader.expectOnly()
      return [.unicode(try NormalizationForm(named: type, reader))]
    case "Lowercase":
      try reader.expectOnly()
      return [.lowercase]
    case "Strip":
      try reader.expectOnly("strip_left", "strip_right")
      return [.strip(left: try reader.bool("strip_left"), right: try reader.bool("strip_right"))]
    case "StripAccents":
      try reader.expectOnly()
      return [.stripAccents]
    case "Replace":
      try reader.expectOnly("pattern", "content")
      return [.replace(try reader.pattern("pattern"), with: Array(try reader.string("content").utf8))]
    case "Prepend":
      try reader.expectOnly("prepend")
      return [.prepend(Array(try reader.string("prepend").utf8))]
    case "BertNormalizer":
      try reader.expectOnly("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")
      let lowercases = try reader.bool("lowercase")
      return [
        .bert(
          BertNormalizer(
            cleansText: try reader.bool("clean_text"),
            spacesChineseCharacters: try reader.bool("handle_chinese_chars"),
            stripsAccents: try reader.bool("strip_accents", default: lowercases), lowercases: lowercases))
      ]
    case "Nmt":
      try reader.expectOnly()
      return [.nmt]
    case "Precompiled":
      try reader.expectOnly("precompiled_charsmap")
      // An empty map changes nothing.
      guard let encoded = try reader.optionalString("precompiled_charsmap"), !encoded.isEmpty else { return [] }
      guard let map = bytes(ofBase64: encoded) else { throw reader.malformed("precompiled_charsmap", "base64") }
      return [.precompiled(try CharacterRules(map, file: reader.file))]
    case "ByteLevel":
      try reader.expectOnly()
      return [.byteLevel]
    default:
      throw reader.unsupported("the normalizer \(String(reflecting: type)) is not known")
    }
  }
}

/// The bytes that base64 stands for, or nil where it is not valid.
private func bytes(ofBase64 text: String) -> [UInt8]? {
  var result: [UInt8] = []
  var bits: UInt32 = 0
  var bitCount = 0
  var isEnded = false
  for character in text.utf8 {
    let value: UInt8
    switch character {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = character - 65
    case UInt8(ascii: "a")...UInt8(ascii: "z"): value = character - 71
    case UInt8(ascii: "0")...UInt8(ascii: "9"): value = character + 4
    case UInt8(ascii: "+"): value = 62
    case UInt8(ascii: "/"): value = 63
    case UInt8(ascii: "="):
      isEnded = true
      continue
    default: return nil
    }
    guard !isEnded else { return nil }
    bits = bits << 6 | UInt32(value)
    bitCount += 6
    if bitCount >= 8 {
      bitCount -= 8
      result.append(UInt8(truncatingIfNeeded: bits >> UInt32(bitCount)))
    }
  }
  return result
}
