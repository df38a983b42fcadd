/// The unigram language model: of all ways to cut a word into tokens the one with the largest sum of their scores
/// (Viterbi's algorithm; Kudo 2018, https://arxiv.org/abs/1804.10959).
struct UnigramModel: TokenModel {
  let vocabulary: Vocabulary
  let unknownSpelling: String?
  private let scores: [Double]
  private let unknownToken: Int32?
  private let fallsBackToBytes: Bool
  private let unknownScore: Double
  private let byteTokens: [Int32]
  /// For the hash of every beginning of a token one bit, so that a search ends where no token goes on.
  private let beginnings: [UInt64]

  /// How much worse than the worst token an unknown character is.
  private static let unknownPenalty = 10.0

  /// - Parameter scores: one for each id.
  init(vocabulary: Vocabulary, scores: [Double], unknownToken: Int?, fallsBackToBytes: Bool) {
    self.vocabulary = vocabulary
    self.scores = scores
    self.unknownToken = unknownToken.map(Int32.init)
    self.fallsBackToBytes = fallsBackToBytes
    unknownSpelling = unknownToken.flatMap(vocabulary.spelling).map { String(decoding: $0, as: UTF8.self) }
    unknownScore = (scores.min() ?? 0) - Self.unknownPenalty
    byteTokens = (0..<256).map { vocabulary.identifier(of: bytePieceSpelling(UInt8($0))) ?? -1 }
    var wordCount = 1024
    while wordCount < vocabulary.count { wordCount *= 2 }
    var beginnings = [UInt64](repeating: 0, count: wordCount)
    vocabulary.forEach { spelling, _ in
      var state = Vocabulary.hashStart
      for byte in spelling {
        state = Vocabulary.hash(state, byte)
        let bit = Self.bit(state, wordCount)
        beginnings[bit >> 6] |= 1 << UInt64(bit & 63)
      }
    }
    self.beginnings = beginnings
  }

  private static func bit(_ state: UInt64, _ wordCount: Int) -> Int {
    Int(truncatingIfNeeded: Vocabulary.mixed(state) >> 8) & (64 * wordCount - 1)
  }

  func tokenize(
    _ bytes: [UInt8], _ range: Range<Int>, into tokens: inout [Int32], workspace: inout MergeWorkspace
  ) throws(ModelFailure) {
    // For each end of a token the best way there.
    var best = [(score: Double, start: Int, token: Int32)](repeating: (0, -1, -1), count: range.count + 1)
    var start = range.lowerBound
    while start < range.upperBound {
      let scoreHere = best[start - range.lowerBound].score
      let characterByteCount = [UInt8].characterByteCount(bytes[start])
      var hasSingleCharacter = false
      var state = Vocabulary.hashStart
      var end = start
      while end < range.upperBound {
        state = Vocabulary.hash(state, bytes[end])
        end += 1
        let bit = Self.bit(state, beginnings.count)
        guard beginnings[bit >> 6] >> UInt64(bit & 63) & 1 == 1 else { break }
        guard end == range.upperBound || bytes[end] & 0xC0 != 0x80,
          let token = vocabulary.identifier(of: bytes, start..<end, hashState: state)
        else { continue }
        let score = scoreHere + scores[Int(token)]
        if best[end - range.lowerBound].start < 0 || score > best[end - range.lowerBound].score {
          best[end - range.lowerBound] = (score, start, token)
        }
        if end - start == characterByteCount { hasSingleCharacter = true }
      }
      if !hasSingleCharacter {
        guard let unknownToken else {
          throw ModelFailure(reason: "the text has a character that is no token, and there is no unknown token")
        }
        let index = start + characterByteCount - range.lowerBound
        let score = scoreHere + unknownScore
        if best[index].start < 0 || score > best[index].score { best[index] = (score, start, unknownToken) }
      }
      start += characterByteCount
    }
    var way: [(range: Range<Int>, token: Int32)] = []
    var end = range.upperBound
    while end > range.lowerBound {
      let step = best[end - range.lowerBound]
      // Unknown neighbours are one unknown.
      if step.token == unknownToken, let last = way.last, last.token == unknownToken {
        way[way.count - 1].range = step.start..<last.range.upperBound
      } else {
        way.append((step.start..<end, step.token))
      }
      end = step.start
    }
    for step in way.reversed() { append(step.token, bytes, step.range, to: &tokens) }
  }

  private func append(_ token: Int32, _ bytes: [UInt8], _ range: Range<Int>, to tokens: inout [Int32]) {
    guard token == unknownToken else { return tokens.append(token) }
    // What was joined may be a token after all.
    if let known = vocabulary.identifier(of: bytes, range) { return tokens.append(known) }
    if fallsBackToBytes, bytes[range].allSatisfy({ byteTokens[Int($0)] >= 0 }) {
      for byte in bytes[range] { tokens.append(byteTokens[Int(byte)]) }
    } else {
      tokens.append(token)
    }
  }
}
