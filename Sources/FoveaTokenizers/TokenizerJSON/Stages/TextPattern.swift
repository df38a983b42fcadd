/// What a text is searched for.
enum TextPattern: Sendable {
  case literal([UInt8])
  case regex(Regex)
  case scalars(@Sendable (Unicode.Scalar) -> Bool)

  /// Calls `body` with each match within each of `ranges`, in order.
  func forEachMatch(
    in bytes: [UInt8], ranges: [Range<Int>], _ body: (_ rangeIndex: Int, _ match: Range<Int>) -> Void
  ) throws(Regex.Failure) {
    switch self {
    case .regex(let regex): try regex.forEachMatch(in: bytes, ranges: ranges, body)
    case .literal(let literal):
      for (rangeIndex, range) in ranges.enumerated() {
        var index = range.lowerBound
        while index + literal.count <= range.upperBound {
          if bytes[index] == literal[0], bytes[index..<index + literal.count].elementsEqual(literal) {
            body(rangeIndex, index..<index + literal.count)
            index += literal.count
          } else {
            index += 1
          }
        }
      }
    case .scalars(let isMatch):
      // Which of the ASCII characters match is found out once.
      let ascii = (0..<0x80 as Range<UInt8>).map { isMatch(Unicode.Scalar($0)) }
      for (rangeIndex, range) in ranges.enumerated() {
        var index = range.lowerBound
        while index < range.upperBound {
          if bytes[index] < 0x80 {
            if ascii[Int(bytes[index])] { body(rangeIndex, index..<index + 1) }
            index += 1
            continue
          }
          let end = index + [UInt8].characterByteCount(bytes[index])
          if isMatch(bytes.scalar(at: index)) { body(rangeIndex, index..<end) }
          index = end
        }
      }
    }
  }

  /// The text with every match replaced by `content`, which is taken as it is.
  func replacing(_ bytes: [UInt8], with content: [UInt8]) throws(Regex.Failure) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count + bytes.count / 4)
    var position = 0
    try forEachMatch(in: bytes, ranges: [bytes.indices]) { _, match in
      result.append(contentsOf: bytes[position..<match.lowerBound])
      result.append(contentsOf: content)
      position = match.upperBound
    }
    guard position > 0 || !result.isEmpty else { return bytes }
    result.append(contentsOf: bytes[position...])
    return result
  }
}

/// What becomes of the matches when a text is split at them.
enum SplitBehavior: String {
  case isolated = "Isolated"
  case removed = "Removed"
  case mergedWithPrevious = "MergedWithPrevious"
  case mergedWithNext = "MergedWithNext"
  case contiguous = "Contiguous"

  init(_ reader: ComponentReader) throws(TokenizerError) {
    let name = try reader.string("behavior")
    guard let behavior = SplitBehavior(rawValue: name) else {
      throw reader.unsupported("the behavior \(String(reflecting: name)) is not known")
    }
    self = behavior
  }

  /// Joins a text's `parts`, which alternate between matches and what lies between them, as the behavior asks.
  func joined(_ parts: [(range: Range<Int>, isMatch: Bool)]) -> [Range<Int>] {
    var pieces: [Range<Int>] = []
    var wasMatch = false
    switch self {
    case .isolated: return parts.map(\.range)
    case .removed: return parts.filter { !$0.isMatch }.map(\.range)
    case .contiguous:
      for part in parts {
        if part.isMatch == wasMatch, let last = pieces.last {
          pieces[pieces.count - 1] = last.lowerBound..<part.range.upperBound
        } else {
          pieces.append(part.range)
        }
        wasMatch = part.isMatch
      }
    case .mergedWithPrevious:
      for part in parts {
        if part.isMatch, !wasMatch, let last = pieces.last {
          pieces[pieces.count - 1] = last.lowerBound..<part.range.upperBound
        } else {
          pieces.append(part.range)
        }
        wasMatch = part.isMatch
      }
    case .mergedWithNext:
      for part in parts.reversed() {
        if part.isMatch, !wasMatch, let last = pieces.last {
          pieces[pieces.count - 1] = part.range.lowerBound..<last.upperBound
        } else {
          pieces.append(part.range)
        }
        wasMatch = part.isMatch
      }
      pieces.reverse()
    }
    return pieces
  }
}
