/// The merges of a BPE model: for two neighbouring tokens, how early they merge and to what.
struct MergeTable: Sendable {
  private struct Slot {
    /// Both tokens, the left one in the high half; -1 for none.
    var key: Int64
    /// The rank in the high half, the merged token in the low one.
    var value: UInt64
  }

  /// Side by side, since each look at another place costs a wait for memory.
  private var slots: [Slot]
  private(set) var count = 0

  /// What no pair has: later than all ranks.
  static let none = UInt64.max

  init(expectedCount: Int) {
    var slotCount = 64
    while slotCount < 2 * expectedCount { slotCount *= 2 }
    slots = [Slot](repeating: Slot(key: -1, value: Self.none), count: slotCount)
  }

  /// Adds a pair; of two equal pairs the later one counts, as in the reference.
  mutating func add(_ left: Int32, _ right: Int32, rank: Int, merged: Int32) {
    precondition(2 * count < slots.count, "the table was made for fewer merges")
    let key = Self.key(left, right)
    var slot = index(key)
    while slots[slot].key != -1, slots[slot].key != key { slot = (slot + 1) & (slots.count - 1) }
    if slots[slot].key == -1 { count += 1 }
    slots[slot] = Slot(key: key, value: UInt64(rank) << 32 | UInt64(UInt32(bitPattern: merged)))
  }

  /// The rank and the merged token, or `none`.
  @inline(always)
  func value(_ left: Int32, _ right: Int32) -> UInt64 {
    let key = Self.key(left, right)
    var slot = index(key)
    while true {
      let found = slots[slot]
      if found.key == key { return found.value }
      if found.key == -1 { return Self.none }
      slot = (slot + 1) & (slots.count - 1)
    }
  }

  @inline(always)
  private static func key(_ left: Int32, _ right: Int32) -> Int64 {
    Int64(left) << 32 | Int64(right)
  }

  @inline(always)
  private func index(_ key: Int64) -> Int {
    let product = UInt64(bitPattern: key) &* 0x9E37_79B9_7F4A_7C15
    return Int(truncatingIfNeeded: product >> 32) & (slots.count - 1)
  }
}
