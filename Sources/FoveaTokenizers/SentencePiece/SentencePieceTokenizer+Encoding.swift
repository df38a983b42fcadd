/// Where the space before a text goes when special tokens cut it, which Hugging Face's key `legacy` decides.
enum EncodingConvention: Sendable, Equatable {
  /// `legacy: true`: libsentencepiece puts its space before the text and again after every special token.
  case prefixEverySegment

  /// `legacy: false`: one space, before the whole text.
  ///
  /// The library would drop spaces at the beginning of a segment, so such a segment is encoded behind `guardBytes` (the
  /// unknown token's spelling), whose `guardTokenCount` tokens are taken away again, as the reference does. Before one of
  /// `roleTokens` at the beginning of a text there is no space.
  case prefixOnce(addsSpace: Bool, guardBytes: [UInt8], guardTokenCount: Int, roleTokens: Set<Int>)
}

extension SentencePieceTokenizer {
  /// Splits UTF-8 bytes into tokens. See `Tokenizer`.
  public func encode(
    bytes: [UInt8], addSpecialTokens: Bool, parseSpecialTokens: Bool
  ) throws(TokenizerError) -> [Int] {
    var tokens: [Int] = []
    if addSpecialTokens, addsBeginningOfText, let token = beginningOfTextToken { tokens.append(token) }
    switch convention {
    case .prefixEverySegment:
      for segment in segments(of: bytes, parseSpecialTokens) {
        switch segment {
        case .token(let token): tokens.append(token)
        case .text(let range): tokens += try encoder.encode(bytes[range])
        }
      }
    case .prefixOnce(let addsSpace, let guardBytes, let guardTokenCount, let roleTokens):
      guard !bytes.isEmpty else { break }
      let space = Array(String(spaceSymbol).utf8)
      let spaced = (addsSpace ? space : []) + bytes.replacing(space, with: [UInt8(ascii: " ")])
      let segments = segments(of: spaced, parseSpecialTokens)
      for (index, segment) in segments.enumerated() {
        switch segment {
        case .token(let token): tokens.append(token)
        case .text(let range):
          let segmentTokens = try encode(spaced[range], behind: guardBytes, guardTokenCount, space: space)
          // The space that was put before the text, alone before a token that takes none.
          if index == 0, segmentTokens.count == 1, piece(of: segmentTokens[0]) == String(spaceSymbol),
            segments.count > 1, case .token(let next) = segments[1], roleTokens.contains(next)
          {
            continue
          }
          tokens += segmentTokens
        }
      }
    }
    if addSpecialTokens, addsEndOfText, let token = endOfTextToken { tokens.append(token) }
    return tokens
  }

  private func segments(of bytes: [UInt8], _ parseSpecialTokens: Bool) -> [AddedTokenSplitter.Segment] {
    if parseSpecialTokens { return splitter.split(bytes) }
    return bytes.isEmpty ? [] : [.text(bytes.indices)]
  }

  /// The tokens of one segment; `guardBytes` keep the spaces that it may begin with.
  private func encode(
    _ text: ArraySlice<UInt8>, behind guardBytes: [UInt8], _ guardTokenCount: Int, space: [UInt8]
  ) throws(TokenizerError) -> [Int] {
    guard text.first == UInt8(ascii: " ") || text.starts(with: space) else { return try encoder.encode(text) }
    let tokens = try encoder.encode(guardBytes + text)
    return tokens.count >= guardTokenCount ? Array(tokens[guardTokenCount...]) : tokens
  }
}

extension [UInt8] {
  /// The bytes with every occurrence of `pattern`, which is not empty, replaced.
  fileprivate func replacing(_ pattern: [UInt8], with replacement: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(count)
    var position = 0
    while position < count {
      if self[position] == pattern[0], self[position...].starts(with: pattern) {
        result += replacement
        position += pattern.count
      } else {
        result.append(self[position])
        position += 1
      }
    }
    return result
  }
}
