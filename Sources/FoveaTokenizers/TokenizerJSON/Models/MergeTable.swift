/// The merges of a BPE model: for two neighbouring tokens, how early they merge and to what.
struct MergeTable: Sendable {
  /// Both tokens, the left one in the high half; -1 for none.
  private var keys: [Int64]
  /// The rank in the high half, the merged token in the low one.
  private var values: [UInt64]
  private(set) var count = 0

  /// What no pair has: later than all ranks.
  static let none = UInt64.max

  init(expectedCount: Int) {
    var slotCount = 64
    while slotCount < 2 * expectedCount { slotCount *= 2 }
    keys = [Int64](repeating: -1, count: slotCount)
    values = [UInt64](repeating: Self.none, count: slotCount)
  }

  /// Adds a pair; of two equal pairs the later one counts, as in the reference.
  mutating func add(_ left: Int32, _ right: Int32, rank: Int, merged: Int32) {
    precondition(2 * count < keys.count, "the table was made for fewer merges")
    let key = Self.key(left, right)
    var slot = index(key)
    while keys[slot] != -1, keys[slot] != key { slot = (slot + 1) & (keys.count - 1) }
    if keys[slot] == -1 { count += 1 }
    keys[slot] = key
    values[slot] = UInt64(rank) << 32 | UInt64(UInt32(bitPattern: merged))
  }

  /// The rank and the merged token, or `none`.
  @inline(always)
  func value(_ left: Int32, _ right: Int32) -> UInt64 {
    let key = Self.key(left, right)
    var slot = index(key)
    while true {
      let found = keys[slot]
      if found == key { return values[slot] }
      if found == -1 { return Self.none }
      slot = (slot + 1) & (keys.count - 1)
    }
  }

  @inline(always)
  private static func key(_ left: Int32, _ right: Int32) -> Int64 {
    Int64(left) << 32 | Int64(right)
  }

  @inline(always)
  private func index(_ key: Int64) -> Int {
    let product = UInt64(bitPattern: key) &* 0x9E37_79B9_7F4A_7C15
    return Int(truncatingIfNeeded: product >> 32) & (keys.count - 1)
  }
}
