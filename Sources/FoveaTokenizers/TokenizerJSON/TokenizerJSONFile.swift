internal import FoveaCore

/// A `tokenizer.json` as it was read: the large tables in flat form, all else as values.
struct TokenizerJSONFile {
  /// The fields of the file, without `model`.
  var members: [String: JSONValue] = [:]
  /// The fields of `model`, without `vocab` and `merges`.
  var modelMembers: [String: JSONValue] = [:]
  /// `model.vocab`.
  var vocabulary = Vocabulary()
  /// The scores of a Unigram model by id.
  var scores: [Double]?
  /// `model.merges`: the left and right spellings one after another.
  var merges = Merges()
  /// Which fields of `model` came.
  private var hasVocabulary = false
  private let file: String

  /// The merges' spellings in one piece of memory.
  struct Merges {
    var content: [UInt8] = []
    /// Where each merge begins, where its right half begins, and where it ends.
    var bounds: [(start: UInt32, middle: UInt32, end: UInt32)] = []
    var isPresent = false
  }

  /// - Throws: `malformedFile` with the byte offset where the file is not JSON or a table has entries of another kind.
  init(_ bytes: [UInt8], file: String) throws(TokenizerError) {
    self.file = file
    guard bytes.count < 1 << 31, String(validating: bytes, as: UTF8.self) != nil else {
      throw TokenizerError(.malformedFile, file: file, "is not UTF-8, or too long")
    }
    var scanner = JSONScanner(bytes)
    do throws(JSONError) {
      try read(&scanner, byteCount: bytes.count)
    } catch {
      throw TokenizerError(.malformedFile, file: file, "\(error.message) (at byte \(error.byteOffset))")
    }
    guard hasVocabulary else { throw TokenizerError(.malformedFile, file: file, "model.vocab is missing") }
  }

  private mutating func read(_ scanner: inout JSONScanner, byteCount: Int) throws(JSONError) {
    var isFirst = true
    var hasModel = false
    try scanner.enterObject()
    while let key = try scanner.nextKey(&isFirst) {
      let offset = scanner.keyOffset
      if key == "model" {
        guard !hasModel else { throw JSONError("the key 'model' appears twice in the object", byteOffset: offset) }
        hasModel = true
        try readModel(&scanner, byteCount: byteCount)
      } else if members.updateValue(try scanner.value(), forKey: key) != nil {
        throw JSONError("the key '\(printable(key))' appears twice in the object", byteOffset: offset)
      }
    }
    try scanner.expectEnd()
  }

  private mutating func readModel(_ scanner: inout JSONScanner, byteCount: Int) throws(JSONError) {
    var isFirst = true
    try scanner.enterObject()
    while let key = try scanner.nextKey(&isFirst) {
      let offset = scanner.keyOffset
      let isTwice: Bool
      switch key {
      case "vocab":
        isTwice = hasVocabulary
        hasVocabulary = true
        vocabulary = Vocabulary(expectedCount: byteCount / 128)
        if try scanner.nextValueKind() == .array { try readScores(&scanner) } else { try readVocabulary(&scanner) }
      case "merges":
        isTwice = merges.isPresent
        merges.isPresent = true
        merges.content.reserveCapacity(byteCount / 3)
        merges.bounds.reserveCapacity(byteCount / 48)
        try readMerges(&scanner)
      default: isTwice = modelMembers.updateValue(try scanner.value(), forKey: key) != nil
      }
      if isTwice { throw JSONError("the key '\(printable(key))' appears twice in the object", byteOffset: offset) }
    }
  }

  /// `{"a": 0, …}`.
  private mutating func readVocabulary(_ scanner: inout JSONScanner) throws(JSONError) {
    var isFirst = true
    var spelling: [UInt8] = []
    try scanner.enterObject()
    while let range = try scanner.nextKeyBytes(&isFirst, appendingTo: &spelling) {
      let offset = scanner.offset
      let identifier = try scanner.nonNegativeInteger()
      guard identifier <= Vocabulary.identifierLimit else {
        throw JSONError(
          "model.vocab: the id \(identifier) is larger than \(Vocabulary.identifierLimit)", byteOffset: offset)
      }
      guard vocabulary.add(spelling, range, identifier: identifier) else {
        throw JSONError("model.vocab: a token appears twice", byteOffset: offset)
      }
      spelling.removeAll(keepingCapacity: true)
    }
  }

  /// `[["a", -1.5], …]`; the ids are the indices.
  private mutating func readScores(_ scanner: inout JSONScanner) throws(JSONError) {
    var isFirst = true
    var spelling: [UInt8] = []
    var scores: [Double] = []
    try scanner.enterArray()
    while try scanner.nextElement(&isFirst) {
      var isFirstOfPair = true
      try scanner.enterArray()
      let offset = scanner.offset
      guard try scanner.nextElement(&isFirstOfPair) else { throw pairExpected(offset) }
      let range = try scanner.stringBytes(appendingTo: &spelling)
      guard try scanner.nextElement(&isFirstOfPair), let score = Double(try scanner.number()), score.isFinite,
        try !scanner.nextElement(&isFirstOfPair), scores.count < Vocabulary.identifierLimit
      else { throw pairExpected(offset) }
      // Where a spelling comes twice the reference takes the later one, which no file in use has.
      guard vocabulary.add(spelling, range, identifier: scores.count) else {
        throw JSONError("model.vocab: a token appears twice", byteOffset: offset)
      }
      scores.append(score)
      spelling.removeAll(keepingCapacity: true)
    }
    self.scores = scores
  }

  private func pairExpected(_ offset: Int) -> JSONError {
    JSONError("model.vocab: expected a token and its score", byteOffset: offset)
  }

  /// `["a b", …]` or `[["a", "b"], …]`.
  private mutating func readMerges(_ scanner: inout JSONScanner) throws(JSONError) {
    var isFirst = true
    try scanner.enterArray()
    while try scanner.nextElement(&isFirst) {
      let offset = scanner.offset
      let start = merges.content.count
      var middle = start
      if try scanner.nextValueKind() == .array {
        var isFirstOfPair = true
        try scanner.enterArray()
        guard try scanner.nextElement(&isFirstOfPair) else { throw mergeExpected(offset) }
        middle = try scanner.stringBytes(appendingTo: &merges.content).upperBound
        guard try scanner.nextElement(&isFirstOfPair) else { throw mergeExpected(offset) }
        _ = try scanner.stringBytes(appendingTo: &merges.content)
        guard try !scanner.nextElement(&isFirstOfPair) else { throw mergeExpected(offset) }
      } else {
        let range = try scanner.stringBytes(appendingTo: &merges.content)
        var spaceCount = 0
        for index in range where merges.content[index] == UInt8(ascii: " ") {
          spaceCount += 1
          middle = index
        }
        guard spaceCount == 1 else { throw mergeExpected(offset) }
        merges.content.remove(at: middle)
      }
      merges.bounds.append((UInt32(start), UInt32(middle), UInt32(merges.content.count)))
    }
  }

  private func mergeExpected(_ offset: Int) -> JSONError {
    JSONError("model.merges: expected two tokens", byteOffset: offset)
  }
}
