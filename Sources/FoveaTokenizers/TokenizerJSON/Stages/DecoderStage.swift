/// One of the rules that turn spellings of tokens into text, with what it remembers of the tokens so far.
enum DecoderStage: Sendable {
  /// Turns the characters of byte-level BPE into bytes.
  case byteLevel
  case replace(TextPattern, with: [UInt8])
  /// Turns `<0x0A>` into bytes, and those to characters.
  case byteFallback(UTF8Assembler)
  /// Takes a character away from the ends of every token, or of the whole text.
  case strip(Strip)
  case metaspace(replacement: [UInt8], dropsFirst: Bool, isFirst: Bool)
  case wordPiece(prefix: [UInt8], cleansUp: Bool, isFirst: Bool)
  /// The last token's suffix gives nothing, those of the others a space: one token is held back.
  case suffix([UInt8], held: [UInt8]?)
  /// Spaces between all tokens, where a file has no decoder.
  case spaced(isFirst: Bool)

  /// How many characters a strip takes, and what it took.
  struct Strip: Sendable {
    let content: [UInt8]
    let start: Int
    let stop: Int
    /// Whether the text is one token by now.
    let isFused: Bool
    var leading = 0
    var held = 0
  }

  /// Takes a token and returns what it gives, in order.
  mutating func push(_ token: [UInt8]) throws(Regex.Failure) -> [[UInt8]] {
    switch self {
    case .byteLevel: return [ByteLevelAlphabet.decoded(token)]
    case .replace(let pattern, let content): return [try pattern.replacing(token, with: content)]
    case .byteFallback(var unfinished):
      defer { self = .byteFallback(unfinished) }
      if let byte = byte(of: token) { return [Array(unfinished.append(byte).utf8)] }
      return [Array(unfinished.finish().utf8), token]
    case .strip(var strip):
      defer { self = .strip(strip) }
      return [strip.push(token)]
    case .metaspace(let replacement, let dropsFirst, let isFirst):
      self = .metaspace(replacement: replacement, dropsFirst: dropsFirst, isFirst: false)
      let content = isFirst && dropsFirst ? [] : [UInt8(ascii: " ")]
      return [try TextPattern.literal(replacement).replacing(token, with: content)]
    case .wordPiece(let prefix, let cleansUp, let isFirst):
      self = .wordPiece(prefix: prefix, cleansUp: cleansUp, isFirst: false)
      var text = token
      if !isFirst {
        if !prefix.isEmpty, token.starts(with: prefix) {
          text.removeFirst(prefix.count)
        } else {
          text.insert(UInt8(ascii: " "), at: 0)
        }
      }
      return [cleansUp ? try cleanedUp(text) : text]
    case .suffix(let suffix, let held):
      self = .suffix(suffix, held: token)
      return try held.map { held throws(Regex.Failure) in
        [try TextPattern.literal(suffix).replacing(held, with: [UInt8(ascii: " ")])]
      } ?? []
    case .spaced(let isFirst):
      self = .spaced(isFirst: false)
      return [isFirst ? token : [UInt8(ascii: " ")] + token]
    }
  }

  /// Ends the text: returns what was held back, and forgets it.
  mutating func finish() throws(Regex.Failure) -> [[UInt8]] {
    switch self {
    case .byteLevel, .replace: return []
    case .byteFallback(var unfinished):
      defer { self = .byteFallback(unfinished) }
      return [Array(unfinished.finish().utf8)]
    case .strip(var strip):
      strip.leading = 0
      strip.held = 0
      self = .strip(strip)
    case .metaspace(let replacement, let dropsFirst, _):
      self = .metaspace(replacement: replacement, dropsFirst: dropsFirst, isFirst: true)
    case .wordPiece(let prefix, let cleansUp, _):
      self = .wordPiece(prefix: prefix, cleansUp: cleansUp, isFirst: true)
    case .suffix(let suffix, let held):
      self = .suffix(suffix, held: nil)
      if let held { return [try TextPattern.literal(suffix).replacing(held, with: [])] }
    case .spaced: self = .spaced(isFirst: true)
    }
    return []
  }

  /// The value of `<0x0A>`.
  private func byte(of token: [UInt8]) -> UInt8? {
    guard token.count == 6, token.starts(with: Array("<0x".utf8)), token[5] == UInt8(ascii: ">") else { return nil }
    return UInt8(String(decoding: token[3..<5], as: UTF8.self), radix: 16)
  }

  private static let cleanUps: [(TextPattern, [UInt8])] = [
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
    (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
  ].map { (.literal(Array($0.utf8)), Array($1.utf8)) }

  private func cleanedUp(_ text: [UInt8]) throws(Regex.Failure) -> [UInt8] {
    var text = text
    for (pattern, content) in Self.cleanUps { text = try pattern.replacing(text, with: content) }
    return text
  }
}

extension DecoderStage.Strip {
  /// Takes away what stands at the ends, and holds back what may turn out to stand at the end of a fused text.
  fileprivate mutating func push(_ token: [UInt8]) -> [UInt8] {
    var text = token[...]
    if !isFused { leading = 0 }
    while leading < start, text.starts(with: content) {
      text.removeFirst(content.count)
      leading += 1
    }
    if !text.isEmpty { leading = start }
    let before = isFused ? held : 0
    var trailing = 0
    while trailing < stop, text.count >= content.count, text.suffix(content.count).elementsEqual(content) {
      text.removeLast(content.count)
      trailing += 1
    }
    guard isFused else { return Array(text) }
    if text.isEmpty {
      // All of it may go; what is more than can go at the end comes out.
      held = min(before + trailing, stop)
      return Array([[UInt8]](repeating: content, count: before + trailing - held).joined())
    }
    held = trailing
    return Array([[UInt8]](repeating: content, count: before).joined()) + text
  }
}
