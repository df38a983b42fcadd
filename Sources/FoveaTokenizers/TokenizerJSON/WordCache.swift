/// The tokens of the words that a text held so far, since most words of a text come again.
struct WordCache {
  private var words = Vocabulary()
  private var tokens: [Int32] = []
  private var ends: [Int] = []

  /// Longer words seldom come again, and a text cannot make this grow without measure.
  private static let wordByteCountLimit = 64
  private static let wordCountLimit = 1 << 17

  /// Appends the tokens of a word if it is known.
  @inline(always)
  func append(_ bytes: [UInt8], _ range: Range<Int>, hashState: UInt64, to result: inout [Int32]) -> Bool {
    guard let index = words.identifier(of: bytes, range, hashState: hashState) else { return false }
    let start = index == 0 ? 0 : ends[Int(index) - 1]
    for token in start..<ends[Int(index)] { result.append(tokens[token]) }
    return true
  }

  mutating func add(_ bytes: [UInt8], _ range: Range<Int>, _ wordTokens: ArraySlice<Int32>) {
    guard range.count <= Self.wordByteCountLimit, ends.count < Self.wordCountLimit,
      words.add(bytes, range, identifier: ends.count)
    else { return }
    tokens.append(contentsOf: wordTokens)
    ends.append(tokens.count)
  }
}
