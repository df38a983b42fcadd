/// Byte-pair encoding: a word's characters, merged pair by pair.
///
/// The same model serves byte-level BPE, whose words come with a character for each byte, and BPE with byte fallback.
struct BytePairModel: TokenModel {
  /// The settings beside the vocabulary.
  struct Options: Sendable {
    var unknown: String?
    var fusesUnknown = false
    var fallsBackToBytes = false
    /// Whether a word that is a token is not split at all.
    var ignoresMerges = false
    var continuationPrefix = ""
    var wordSuffix = ""
  }

  let vocabulary: Vocabulary
  let options: Options
  private let merges: MergeTable
  private let unknownToken: Int32?
  /// The tokens of `<0x00>` to `<0xFF>`, or -1.
  private let byteTokens: [Int32]
  /// The tokens of the characters before U+0800, or -1.
  private let characterTokens: [Int32]
  /// Whether a word may be cut before every ▁ that follows another character, because no merge crosses such a place.
  private let isCutBeforeSpaces: Bool

  var unknownSpelling: String? { options.unknown }

  private static let space = Array(String(spaceSymbol).utf8)

  /// - Parameter isSpaceCrossed: whether a merge joins another character with a ▁ behind it.
  init(vocabulary: Vocabulary, merges: MergeTable, options: Options, isSpaceCrossed: Bool) {
    self.vocabulary = vocabulary
    self.merges = merges
    self.options = options
    unknownToken = options.unknown.flatMap { vocabulary.identifier(of: $0) }
    byteTokens = (0..<256).map { vocabulary.identifier(of: bytePieceSpelling(UInt8($0))) ?? -1 }
    characterTokens = (0..<0x800).map { value in
      Unicode.Scalar(UInt32(value)).flatMap { vocabulary.identifier(of: String(Character($0))) } ?? -1
    }
    isCutBeforeSpaces =
      !isSpaceCrossed && options.continuationPrefix.isEmpty && options.wordSuffix.isEmpty
      && vocabulary.identifier(of: Self.space, 0..<Self.space.count) != nil
  }

  /// Where a part of a word ends that can be merged on its own; the words of models without pre-tokenizers are texts.
  func endOfPart(_ bytes: [UInt8], _ range: Range<Int>) -> Int {
    guard isCutBeforeSpaces, !options.ignoresMerges else { return range.upperBound }
    var index = range.lowerBound
    var hasOther = false
    while index < range.upperBound {
      if bytes[index] == Self.space[0], index + 2 < range.upperBound, bytes[index + 1] == Self.space[1],
        bytes[index + 2] == Self.space[2]
      {
        if hasOther { return index }
        index += 3
      } else {
        hasOther = true
        index += 1
      }
    }
    return range.upperBound
  }

  func tokenize(
    _ bytes: [UInt8], _ range: Range<Int>, into tokens: inout [Int32], workspace: inout MergeWorkspace
  ) throws(ModelFailure) {
    if options.ignoresMerges, let token = vocabulary.identifier(of: bytes, range) {
      tokens.append(token)
      return
    }
    workspace.tokens.removeAll(keepingCapacity: true)
    // An unknown character is added late, so that more of them can join it.
    var hasUnknown = false
    var index = range.lowerBound
    while index < range.upperBound {
      let end = index + [UInt8].characterByteCount(bytes[index])
      let token = characterToken(
        bytes, index..<end, isFirst: index == range.lowerBound, isLast: end == range.upperBound)
      if token >= 0 {
        if hasUnknown, let unknownToken { workspace.tokens.append(unknownToken) }
        hasUnknown = false
        workspace.tokens.append(token)
      } else if !options.fallsBackToBytes || !appendBytes(of: bytes, index..<end, range, to: &workspace.tokens) {
        if options.unknown != nil {
          guard let unknownToken else {
            throw ModelFailure(reason: "unk_token is \(String(reflecting: options.unknown ?? "")), which is no token")
          }
          if hasUnknown, !options.fusesUnknown { workspace.tokens.append(unknownToken) }
          hasUnknown = true
        }
      }
      index = end
    }
    if hasUnknown, let unknownToken { workspace.tokens.append(unknownToken) }
    workspace.merge(merges)
    tokens.append(contentsOf: workspace.tokens)
  }

  @inline(always)
  private func characterToken(_ bytes: [UInt8], _ range: Range<Int>, isFirst: Bool, isLast: Bool) -> Int32 {
    if options.continuationPrefix.isEmpty || isFirst, options.wordSuffix.isEmpty || !isLast {
      if range.count == 1 { return characterTokens[Int(bytes[range.lowerBound])] }
      if range.count == 2 {
        return characterTokens[Int(bytes[range.lowerBound] & 0x1F) << 6 | Int(bytes[range.lowerBound + 1] & 0x3F)]
      }
      return vocabulary.identifier(of: bytes, range) ?? -1
    }
    let spelling = decorated(bytes, range, isFirst: isFirst, isLast: isLast)
    return vocabulary.identifier(of: spelling, spelling.indices) ?? -1
  }

  private func decorated(_ bytes: [UInt8], _ range: Range<Int>, isFirst: Bool, isLast: Bool) -> [UInt8] {
    (isFirst ? [] : Array(options.continuationPrefix.utf8)) + bytes[range]
      + (isLast ? Array(options.wordSuffix.utf8) : [])
  }

  private func appendBytes(of bytes: [UInt8], _ range: Range<Int>, _ word: Range<Int>, to tokens: inout [Int32]) -> Bool
  {
    let spelling = decorated(
      bytes, range, isFirst: range.lowerBound == word.lowerBound, isLast: range.upperBound == word.upperBound)
    guard spelling.allSatisfy({ byteTokens[Int($0)] >= 0 }) else { return false }
    for byte in spelling { tokens.append(byteTokens[Int(byte)]) }
    return true
  }
}

/// `<0x0A>` for 10.
func bytePieceSpelling(_ byte: UInt8) -> String {
  "<0x" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true) + ">"
}
