/// WordPiece: the longest token that a word begins with, and so on with the rest of the word.
struct WordPieceModel: TokenModel {
  let vocabulary: Vocabulary
  let unknownSpelling: String?
  /// What stands before tokens within a word, such as `##`.
  private let continuationPrefix: [UInt8]
  private let characterCountLimit: Int
  private let unknownToken: Int32?

  init(vocabulary: Vocabulary, unknown: String, continuationPrefix: String, characterCountLimit: Int) {
    self.vocabulary = vocabulary
    unknownSpelling = unknown
    self.continuationPrefix = Array(continuationPrefix.utf8)
    self.characterCountLimit = characterCountLimit
    unknownToken = vocabulary.identifier(of: unknown)
  }

  func tokenize(
    _ bytes: [UInt8], _ range: Range<Int>, into tokens: inout [Int32], workspace: inout MergeWorkspace
  ) throws(ModelFailure) {
    let firstToken = tokens.count
    let characterCount = bytes[range].count { $0 & 0xC0 != 0x80 }
    if characterCount <= characterCountLimit, appendPieces(bytes, range, to: &tokens) { return }
    tokens.removeSubrange(firstToken...)
    guard let unknownToken else {
      throw ModelFailure(reason: "unk_token is \(String(reflecting: unknownSpelling ?? "")), which is no token")
    }
    tokens.append(unknownToken)
  }

  private func appendPieces(_ bytes: [UInt8], _ range: Range<Int>, to tokens: inout [Int32]) -> Bool {
    var start = range.lowerBound
    while start < range.upperBound {
      let isFirst = start == range.lowerBound
      let rest = isFirst ? Array(bytes[range]) : continuationPrefix + bytes[start..<range.upperBound]
      let prefixCount = isFirst ? 0 : continuationPrefix.count
      // All beginnings of the rest that are tokens; the last one is the longest.
      var state = Vocabulary.hashStart
      var found: (token: Int32, end: Int)?
      for index in 0..<min(rest.count, vocabulary.longestByteCount) {
        state = Vocabulary.hash(state, rest[index])
        guard index >= prefixCount, index + 1 == rest.count || rest[index + 1] & 0xC0 != 0x80 else { continue }
        if let token = vocabulary.identifier(of: rest, 0..<index + 1, hashState: state) { found = (token, index + 1) }
      }
      guard let found else { return false }
      tokens.append(found.token)
      start += found.end - prefixCount
    }
    return true
  }
}

/// A word is a token or unknown.
struct WordLevelModel: TokenModel {
  let vocabulary: Vocabulary
  let unknownSpelling: String?

  func tokenize(
    _ bytes: [UInt8], _ range: Range<Int>, into tokens: inout [Int32], workspace: inout MergeWorkspace
  ) throws(ModelFailure) {
    guard
      let token = vocabulary.identifier(of: bytes, range) ?? unknownSpelling.flatMap({ vocabulary.identifier(of: $0) })
    else {
      throw ModelFailure(reason: "unk_token is \(String(reflecting: unknownSpelling ?? "")), which is no token")
    }
    tokens.append(token)
  }
}
