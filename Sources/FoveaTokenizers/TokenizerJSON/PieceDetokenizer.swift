/// Puts text together from the tokens of a `tokenizer.json`, by its decoder.
///
/// The text is the reference's, but for sequences of byte tokens (`<0xE2>`) that are not valid UTF-8: the reference
/// shows U+FFFD for all bytes of such a sequence, for which it would have to be known whole.
struct PieceDetokenizer: StreamingDetokenizer {
  private let tokenizer: PieceTokenizer
  private let skipsSpecialTokens: Bool
  private var stages: [DecoderStage]
  /// Bytes that may be the beginning of a character.
  private var unfinished: [UInt8] = []

  init(_ tokenizer: PieceTokenizer, stages: [DecoderStage], skipsSpecialTokens: Bool) {
    self.tokenizer = tokenizer
    self.stages = stages
    self.skipsSpecialTokens = skipsSpecialTokens
  }

  mutating func append(_ token: Int) throws(TokenizerError) -> String {
    let spelling = try tokenizer.spelling(of: token)
    if skipsSpecialTokens, tokenizer.isSpecial(token) { return "" }
    do throws(Regex.Failure) {
      // A failure must leave the state as it was.
      var copy = self
      var output: [UInt8] = []
      try copy.feed(spelling, to: 0, &output)
      self = copy
      return text(output)
    } catch {
      throw TokenizerError(.unsupported, file: tokenizer.file, "decoder: \(error.reason)")
    }
  }

  mutating func finish() -> String {
    var output: [UInt8] = []
    do throws(Regex.Failure) {
      for index in stages.indices {
        for token in try stages[index].finish() { try feed(token, to: index + 1, &output) }
      }
    } catch {
      // A pattern that was given up on what was held back, which cannot be said here in another way.
      output += Array("\u{FFFD}".utf8)
    }
    let text = text(output) + String(decoding: unfinished, as: UTF8.self)
    unfinished = []
    return text
  }

  private mutating func feed(_ token: [UInt8], to index: Int, _ output: inout [UInt8]) throws(Regex.Failure) {
    guard index < stages.count else {
      output += token
      return
    }
    for result in try stages[index].push(token) { try feed(result, to: index + 1, &output) }
  }

  /// What is certain of the text; an unfinished character is kept.
  private mutating func text(_ output: [UInt8]) -> String {
    unfinished += output
    let kept = unfinished.unfinishedCharacterByteCount
    let text = String(decoding: unfinished.dropLast(kept), as: UTF8.self)
    unfinished = Array(unfinished.suffix(kept))
    return text
  }
}

extension [UInt8] {
  /// How many bytes at the end are the beginning of a character that can still become valid.
  fileprivate var unfinishedCharacterByteCount: Int {
    for byteCount in 1...3 where byteCount <= count {
      let start = count - byteCount
      let first = self[start]
      if first & 0xC0 == 0x80 { continue }
      guard first >= 0xC2, first <= 0xF4, byteCount < Self.characterByteCount(first) else { return 0 }
      guard byteCount > 1 else { return 1 }
      // Overlong forms, surrogates and values past the end are no beginnings.
      let second = self[start + 1]
      switch first {
      case 0xE0: return second >= 0xA0 ? byteCount : 0
      case 0xED: return second < 0xA0 ? byteCount : 0
      case 0xF0: return second >= 0x90 ? byteCount : 0
      case 0xF4: return second < 0x90 ? byteCount : 0
      default: return byteCount
      }
    }
    return 0
  }
}
