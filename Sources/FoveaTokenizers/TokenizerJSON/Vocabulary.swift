/// The tokens of a model by their spelling and by their id, in flat tables.
///
/// A dictionary of strings takes about as long to fill with 150 000 entries as all of loading may take.
struct Vocabulary: Sendable {
  /// The spellings, one after another.
  private var content: [UInt8]
  /// Where each entry's spelling ends, behind a first one that is empty; it begins where the one before ends.
  private var entries: [Entry]
  /// 0, or the high half of an entry's hash over its index plus 1. The number of slots is a power of two.
  private var slots: [UInt64]
  /// The entry of each id, or -1.
  private var entriesByIdentifier: [Int32] = []
  /// The most bytes that a spelling has.
  private(set) var longestByteCount = 0

  private struct Entry {
    let end: UInt32
    let identifier: Int32
  }

  /// The highest id that is allowed, so that a hostile file cannot ask for tables without measure.
  static let identifierLimit = 1 << 23

  init(expectedCount: Int = 0) {
    content = []
    entries = [Entry(end: 0, identifier: -1)]
    content.reserveCapacity(8 * expectedCount)
    entries.reserveCapacity(expectedCount + 1)
    var slotCount = 64
    while slotCount < 2 * expectedCount { slotCount *= 2 }
    slots = [UInt64](repeating: 0, count: slotCount)
  }

  /// The number of entries.
  var count: Int { entries.count - 1 }

  /// One more than the highest id.
  var identifierEnd: Int { entriesByIdentifier.count }

  /// FNV-1a, which can be carried on byte by byte, with its bits mixed for use as an index.
  static let hashStart: UInt64 = 0xCBF2_9CE4_8422_2325

  @inline(always)
  static func hash(_ state: UInt64, _ byte: UInt8) -> UInt64 {
    (state ^ UInt64(byte)) &* 0x100_0000_01B3
  }

  @inline(always)
  static func mixed(_ state: UInt64) -> UInt64 {
    (state ^ state >> 29) &* 0x9E37_79B9_7F4A_7C15
  }

  static func hash(of bytes: [UInt8], _ range: Range<Int>) -> UInt64 {
    bytes.withUnsafeBufferPointer { bytes in
      var state = hashStart
      for index in range { state = hash(state, bytes[index]) }
      return state
    }
  }

  /// Adds a spelling; false where it is there already.
  mutating func add(_ bytes: [UInt8], _ range: Range<Int>, identifier: Int) -> Bool {
    if 2 * entries.count > slots.count { grow() }
    let hash = Self.mixed(Self.hash(of: bytes, range))
    var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while slots[slot] != 0 {
      if slots[slot] >> 32 == hash >> 32, isEqual(Int(slots[slot] & 0xFFFF_FFFF) - 1, bytes, range) { return false }
      slot = (slot + 1) & (slots.count - 1)
    }
    let entry = count
    content.append(contentsOf: bytes[range])
    entries.append(Entry(end: UInt32(content.count), identifier: Int32(identifier)))
    slots[slot] = (hash >> 32) << 32 | UInt64(entry + 1)
    longestByteCount = max(longestByteCount, range.count)
    while entriesByIdentifier.count <= identifier { entriesByIdentifier.append(-1) }
    entriesByIdentifier[identifier] = Int32(entry)
    return true
  }

  /// The id of a spelling, or nil.
  func identifier(of bytes: [UInt8], _ range: Range<Int>) -> Int32? {
    identifier(of: bytes, range, hashState: Self.hash(of: bytes, range))
  }

  /// The id of a spelling whose hash is known.
  func identifier(of bytes: [UInt8], _ range: Range<Int>, hashState: UInt64) -> Int32? {
    let hash = Self.mixed(hashState)
    var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while true {
      let value = slots[slot]
      if value == 0 { return nil }
      if value >> 32 == hash >> 32 {
        let entry = Int(value & 0xFFFF_FFFF) - 1
        if isEqual(entry, bytes, range) { return entries[entry + 1].identifier }
      }
      slot = (slot + 1) & (slots.count - 1)
    }
  }

  /// The id of a spelling, or nil.
  func identifier(of text: String) -> Int32? {
    let bytes = Array(text.utf8)
    return identifier(of: bytes, bytes.indices)
  }

  /// Whether this is the spelling of an id.
  func isSpelling(of identifier: Int, _ bytes: [UInt8], _ range: Range<Int>) -> Bool {
    guard entriesByIdentifier.indices.contains(identifier), entriesByIdentifier[identifier] >= 0 else { return false }
    return isEqual(Int(entriesByIdentifier[identifier]), bytes, range)
  }

  /// The spelling of an id, or nil.
  func spelling(of identifier: Int) -> ArraySlice<UInt8>? {
    guard entriesByIdentifier.indices.contains(identifier), entriesByIdentifier[identifier] >= 0 else { return nil }
    return content[range(Int(entriesByIdentifier[identifier]))]
  }

  /// Calls `body` with every spelling and its id.
  func forEach(_ body: (ArraySlice<UInt8>, Int32) -> Void) {
    for entry in 0..<count { body(content[range(entry)], entries[entry + 1].identifier) }
  }

  private func range(_ entry: Int) -> Range<Int> {
    Int(entries[entry].end)..<Int(entries[entry + 1].end)
  }

  @inline(always)
  private func isEqual(_ entry: Int, _ bytes: [UInt8], _ range: Range<Int>) -> Bool {
    let own = self.range(entry)
    guard own.count == range.count else { return false }
    return content.withUnsafeBufferPointer { content in
      bytes.withUnsafeBufferPointer { bytes in
        for index in 0..<own.count where content[own.lowerBound + index] != bytes[range.lowerBound + index] {
          return false
        }
        return true
      }
    }
  }

  private mutating func grow() {
    var larger = [UInt64](repeating: 0, count: 2 * slots.count)
    for entry in 0..<count {
      let hash = Self.mixed(Self.hash(of: content, range(entry)))
      var slot = Int(truncatingIfNeeded: hash) & (larger.count - 1)
      while larger[slot] != 0 { slot = (slot + 1) & (larger.count - 1) }
      larger[slot] = (hash >> 32) << 32 | UInt64(entry + 1)
    }
    slots = larger
  }
}
