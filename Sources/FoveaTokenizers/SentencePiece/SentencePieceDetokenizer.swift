/// Puts text together from SentencePiece tokens by libsentencepiece's rules (`SentencePieceProcessor::Decode`).
///
/// Per token, the cost depends on the length of its piece only.
struct SentencePieceDetokenizer: StreamingDetokenizer {
  /// What a token adds to the text.
  enum Fragment {
    /// A piece of the vocabulary, in which ▁ stands for a space and which may begin the text with one.
    case piece(String)
    /// Text as it is.
    case verbatim(String)
    /// One byte of a character.
    case byte(UInt8)
  }

  /// What becomes of the space that the encoder put before the text.
  enum LeadingSpace {
    /// The encoder put none.
    case kept
    /// The first piece that gives text loses one space.
    case dropped
    /// Every piece loses one space as long as there is no text.
    case droppedRepeatedly
  }

  private let tokenizer: SentencePieceTokenizer
  private let skipsSpecialTokens: Bool
  private var unfinished = UTF8Assembler()
  private var isAtBeginning = true

  init(_ tokenizer: SentencePieceTokenizer, skipsSpecialTokens: Bool) {
    self.tokenizer = tokenizer
    self.skipsSpecialTokens = skipsSpecialTokens
  }

  mutating func append(_ token: Int) throws(TokenizerError) -> String {
    switch try tokenizer.fragment(of: token, skipsSpecialTokens: skipsSpecialTokens) {
    case .byte(let byte):
      return passOn(unfinished.append(byte))
    case .verbatim(let text):
      return passOn(unfinished.finish()) + passOn(text)
    case .piece(let piece):
      let before = passOn(unfinished.finish())
      var spelling = piece.unicodeScalars[...]
      if isAtBeginning, tokenizer.leadingSpace != .kept, spelling.first == spaceSymbol {
        spelling.removeFirst()
        // Even where this was all of the piece, the one space to drop is gone.
        isAtBeginning = tokenizer.leadingSpace == .droppedRepeatedly
      }
      return before + passOn(spelling.spacesRestored)
    }
  }

  mutating func finish() -> String {
    let rest = passOn(unfinished.finish())
    isAtBeginning = true
    return rest
  }

  private mutating func passOn(_ text: String) -> String {
    if !text.isEmpty { isAtBeginning = false }
    return text
  }
}

/// ▁, which stands for a space in pieces.
let spaceSymbol: Unicode.Scalar = "\u{2581}"

extension Substring.UnicodeScalarView {
  fileprivate var spacesRestored: String {
    // A loop: what sequences offer instead looks its generic types up for every token.
    var result = String.UnicodeScalarView()
    for scalar in self { result.append(scalar == spaceSymbol ? " " : scalar) }
    return String(result)
  }
}
