/// Checks a model's `precompiled_charsmap`: a trie of character sequences and the texts that replace them.
///
/// Layout: the trie's size in bytes (32 bits), the trie, then the texts, each ended by NUL. The trie is a darts-clone
/// double array (https://github.com/s-yata/darts-clone) of 32-bit units, all little-endian. A unit holds
/// - bits 0–7 and 31: its label, the byte that leads to it; bit 31 marks a value instead, which is the other bits;
/// - bit 8: whether a value belongs to it;
/// - bits 9–30: its offset, (unit >> 10) << (bit 9 ? 8 : 0).
///
/// From the unit at `position`, byte `c` leads to the unit at `position ^ offset ^ c` if that has label `c`; the value is
/// the unit at `position ^ offset`. libsentencepiece follows this for the bytes of a text without looking at the
/// array's end, and writes or reads at most 32 matches without looking at how many there were.
package enum CharacterMap {
  /// The matches that libsentencepiece has room for.
  package static let nestedRuleLimit = 32

  /// The longest replacement that is allowed, in bytes, so that a small text cannot grow without measure.
  package static let replacementByteCountLimit = 256

  /// Checks that no text whatever leads libsentencepiece out of the array or out of the replacements.
  package static func validate(_ map: [UInt8], file: String) throws(TokenizerError) {
    func malformed(_ message: String) -> TokenizerError {
      TokenizerError(.malformedFile, file: file, "precompiled_charsmap: \(message)")
    }
    func unit(_ index: Int) -> UInt32 {
      let start = 4 + 4 * index
      return UInt32(map[start]) | UInt32(map[start + 1]) << 8 | UInt32(map[start + 2]) << 16
        | UInt32(map[start + 3]) << 24
    }

    guard map.count > 4 else { throw malformed("has \(map.count) bytes, expected more than 4") }
    let trieByteCount = Int(unit(-1))
    guard trieByteCount % 1024 == 0, trieByteCount > 0 else {
      throw malformed("the trie has \(trieByteCount) bytes, expected whole blocks of 1024")
    }
    guard trieByteCount < map.count - 4 else {
      throw malformed("the trie has \(trieByteCount) bytes, but the map only \(map.count - 4)")
    }
    let units = (0..<trieByteCount / 4).map(unit)
    let replacements = Replacements(Array(map[(4 + trieByteCount)...]))
    guard replacements.isValid else { throw malformed("the replacements are not UTF-8 texts that end with NUL") }

    guard !units[0].isValue else { throw malformed("the trie's root is a value") }
    for (position, unit) in units.enumerated() where !unit.isValue {
      let base = position ^ unit.offset
      // The bytes of a text lead anywhere in the block of 256 units around `base`; the array has whole blocks.
      guard base < units.count else {
        throw malformed("unit \(position) leads to unit \(base) of \(units.count)")
      }
      guard unit.hasValue else { continue }
      let value = Int(units[base] & 0x7FFF_FFFF)
      guard let byteCount = replacements.byteCount(at: value) else {
        throw malformed("unit \(base) points to byte \(value) of \(replacements.bytes.count) of the replacements")
      }
      guard byteCount <= replacementByteCountLimit else {
        throw malformed("the replacement at byte \(value) is longer than \(replacementByteCountLimit) bytes")
      }
    }
    guard let depth = nestedRuleCount(units) else { throw malformed("the trie has a cycle") }
    guard depth <= nestedRuleLimit else {
      throw malformed("\(depth) rules begin one another, more than \(nestedRuleLimit)")
    }
  }

  /// The largest number of values on any way from the root, or nil if a way returns to where it was.
  ///
  /// Units that lead to the same base share all below them, so the answer is found once a base.
  private static func nestedRuleCount(_ units: [UInt32]) -> Int? {
    // A unit is a child of the base that its own position and label give: a list of children for each base.
    var firstChild = [Int](repeating: -1, count: units.count)
    var nextChild = [Int](repeating: -1, count: units.count)
    for (position, unit) in units.enumerated() where !unit.isValue {
      let parent = position ^ Int(unit & 0xFF)
      nextChild[position] = firstChild[parent]
      firstChild[parent] = position
    }
    // -1: not seen; -2: on the way to the current base; otherwise the largest number of values below it.
    var counts = [Int](repeating: -1, count: units.count)
    let root = units[0].offset
    var way = [(base: root, child: firstChild[root], count: 0)]
    counts[root] = -2
    while let current = way.last {
      guard current.child >= 0 else {
        counts[current.base] = current.count
        way.removeLast()
        continue
      }
      let base = current.child ^ units[current.child].offset
      switch counts[base] {
      case -2: return nil
      case -1:
        counts[base] = -2
        way.append((base, firstChild[base], 0))
      case let below:
        let count = below + (units[current.child].hasValue ? 1 : 0)
        way[way.count - 1].count = max(current.count, count)
        way[way.count - 1].child = nextChild[current.child]
      }
    }
    return counts[root]
  }
}

extension UInt32 {
  fileprivate var isValue: Bool { self >> 31 != 0 }
  fileprivate var hasValue: Bool { self >> 8 & 1 != 0 }
  fileprivate var offset: Int { Int((self >> 10) << ((self & 1 << 9) >> 6)) }
}

/// The texts that replace characters, one after another, each ended by NUL.
private struct Replacements {
  let bytes: [UInt8]
  /// Whether all is UTF-8 and the last text ends with NUL.
  let isValid: Bool
  /// For each byte, where the next NUL is.
  private let ends: [Int]

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
    isValid = bytes.last == 0 && String(validating: bytes, as: UTF8.self) != nil
    var ends = [Int](repeating: 0, count: bytes.count)
    var end = bytes.count
    for index in bytes.indices.reversed() {
      if bytes[index] == 0 { end = index }
      ends[index] = end
    }
    self.ends = ends
  }

  /// The length of the text at `index`, or nil where none begins there.
  func byteCount(at index: Int) -> Int? {
    guard bytes.indices.contains(index), bytes[index] & 0xC0 != 0x80 else { return nil }
    return ends[index] - index
  }
}
