/// An entry of `added_tokens` in a `tokenizer.json`.
struct AddedTokenEntry: Sendable {
  var token: Int
  var text: String
  var isSpecial = false
  /// Whether it counts only where no part of a word stands beside it.
  var isSingleWord = false
  /// Whether whitespace before it belongs to it.
  var stripsLeft = false
  /// Whether whitespace after it belongs to it.
  var stripsRight = false
  /// Whether it is looked for in the normalized text.
  var isNormalized = false
}

/// Finds added tokens in a text: from the left, at each place the longest one.
struct AddedTokenMatcher: Sendable {
  private let entries: [AddedTokenEntry]
  private var spellings: Vocabulary
  /// For each first byte, which lengths there are, longest first.
  private var byteCounts: [[Int]]

  /// - Parameter spelling: how an entry is spelled in the texts that are searched.
  init(_ entries: [AddedTokenEntry], spelling: (AddedTokenEntry) throws(Regex.Failure) -> [UInt8]) throws(Regex.Failure)
  {
    self.entries = entries
    spellings = Vocabulary(expectedCount: entries.count)
    byteCounts = [[Int]](repeating: [], count: 256)
    for (index, entry) in entries.enumerated() {
      let bytes = try spelling(entry)
      guard let first = bytes.first, spellings.add(bytes, bytes.indices, identifier: index) else { continue }
      if !byteCounts[Int(first)].contains(bytes.count) { byteCounts[Int(first)].append(bytes.count) }
    }
    byteCounts = byteCounts.map { $0.sorted(by: >) }
  }

  var isEmpty: Bool { entries.isEmpty }

  /// The parts of `bytes` in order: texts, and tokens.
  ///
  /// - Parameter ignoresSpecial: whether special tokens are left in the text.
  func split(_ bytes: [UInt8], ignoresSpecial: Bool) -> [AddedTokenSplitter.Segment] {
    guard !isEmpty else { return bytes.isEmpty ? [] : [.text(bytes.indices)] }
    var segments: [AddedTokenSplitter.Segment] = []
    var textStart = 0
    var position = 0
    while position < bytes.count {
      guard let (index, end) = match(bytes, position) else {
        position += 1
        continue
      }
      let entry = entries[index]
      var range = position..<end
      position = end
      if ignoresSpecial, entry.isSpecial { continue }
      if entry.isSingleWord {
        if let before = bytes[..<range.lowerBound].lastScalar, before.isWordCharacter { continue }
        if end < bytes.count, bytes.scalar(at: end).isWordCharacter { continue }
      }
      if entry.stripsLeft {
        range = max(bytes[..<range.lowerBound].endBeforeWhitespace, textStart)..<range.upperBound
      }
      if entry.stripsRight { range = range.lowerBound..<bytes[end...].startAfterWhitespace }
      if textStart < range.lowerBound { segments.append(.text(textStart..<range.lowerBound)) }
      segments.append(.token(entry.token))
      textStart = range.upperBound
    }
    if textStart < bytes.count { segments.append(.text(textStart..<bytes.count)) }
    return segments
  }

  @inline(always)
  private func match(_ bytes: [UInt8], _ position: Int) -> (index: Int, end: Int)? {
    for byteCount in byteCounts[Int(bytes[position])] where byteCount <= bytes.count - position {
      let range = position..<position + byteCount
      if let index = spellings.identifier(of: bytes, range) { return (Int(index), range.upperBound) }
    }
    return nil
  }
}

extension ArraySlice<UInt8> {
  /// Where valid UTF-8 begins after whitespace in Unicode's sense.
  var startAfterWhitespace: Int {
    var index = startIndex
    while index < endIndex {
      let end = index + [UInt8].characterByteCount(self[index])
      guard Array(self[index..<end]).scalar(at: 0).properties.isWhitespace else { break }
      index = end
    }
    return index
  }

  /// Where valid UTF-8 ends before whitespace in Unicode's sense.
  var endBeforeWhitespace: Int {
    var end = endIndex
    while let scalar = self[startIndex..<end].lastScalar, scalar.properties.isWhitespace {
      end -= UTF8.width(scalar)
    }
    return end
  }

  /// The last character of valid UTF-8.
  var lastScalar: Unicode.Scalar? {
    guard var index = indices.last else { return nil }
    while index > startIndex, self[index] & 0xC0 == 0x80 { index -= 1 }
    return Array(self[index...]).scalar(at: 0)
  }
}
