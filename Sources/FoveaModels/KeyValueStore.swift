internal import CFoveaKernels
internal import FoveaAttention
internal import FoveaCore

/// The keys and values of one layer.
///
/// A layer that attends to everything has room for the whole text. A windowed layer has a ring: position p lies in slot
/// p mod capacity. Attention counts its blocks of keys from position 0, and its bits follow from that; so the keys that a
/// windowed layer hands to it start at a whole block, and the ring holds the window, what its block begins with, and the
/// tokens that are evaluated together.
struct KeyValueStore {
  /// The most positions the store has room for at a time; fewer than the context where the layer is windowed.
  let capacityLimit: Int
  let elementType: ElementType
  private let window: Int?
  private let headCount: Int
  private let headDimension: Int
  private var capacity = 0
  private var keys = TensorStorage(byteCount: 0)
  private var values = TensorStorage(byteCount: 0)
  /// One past the last position ever written since the store was cleared.
  private var writtenEnd = 0

  /// Room is added in steps of this many positions, and by at least half of what is there.
  private static let step = Int(FOVEA_KEY_BLOCK)

  /// `rowsPerChunk` is the most tokens that are evaluated together.
  init(
    window: Int?, contextLength: Int, rowsPerChunk: Int, headCount: Int, headDimension: Int, elementType: ElementType
  ) {
    self.window = window
    self.headCount = headCount
    self.headDimension = headDimension
    self.elementType = elementType
    let needed = window.map { $0 - 1 + Self.step - 1 + rowsPerChunk } ?? contextLength
    capacityLimit = min(contextLength, (min(needed, contextLength) + Self.step - 1) / Self.step * Self.step)
  }

  /// The memory held, in bytes.
  var byteCount: Int { keys.byteCount + values.byteCount }

  /// The memory of `count` positions, in bytes.
  func byteCount(positions count: Int) -> Int {
    2 * min(count, capacityLimit) * headCount * headDimension * elementType.byteCount
  }

  /// Elements from one head to the next.
  var headStride: Int { capacity * headDimension }

  /// The first position whose key a query at `position` or later sees.
  private func firstVisible(from position: Int) -> Int { window.map { max(0, position - $0 + 1) } ?? 0 }

  /// Whether the keys that a query at `position` sees are still there.
  func canContinue(from position: Int) -> Bool {
    position == 0 || firstVisible(from: position) >= writtenEnd - capacity
  }

  /// Makes room for positions up to `end`, of which those before `length` are there.
  mutating func reserve(end: Int, length: Int) {
    writtenEnd = length == 0 ? end : max(writtenEnd, end)
    let needed = min(end, capacityLimit)
    guard needed > capacity else { return }
    let grown = max(needed, capacity + capacity / 2)
    let newCapacity = min(capacityLimit, (grown + Self.step - 1) / Self.step * Self.step)
    // Only a full ring wraps around: up to here every position lies in the slot of its number.
    let keptCount = min(length, capacity)
    keys = grow(keys, to: newCapacity, keeping: keptCount)
    values = grow(values, to: newCapacity, keeping: keptCount)
    capacity = newCapacity
  }

  private func grow(_ old: TensorStorage, to newCapacity: Int, keeping count: Int) -> TensorStorage {
    let rowByteCount = headDimension * elementType.byteCount
    let new = TensorStorage(uninitializedByteCount: headCount * newCapacity * rowByteCount)
    for head in 0..<headCount {
      (new.baseAddress + head * newCapacity * rowByteCount).copyMemory(
        from: old.baseAddress + head * capacity * rowByteCount, byteCount: count * rowByteCount)
    }
    return new
  }

  /// Where the key and the value of the first head go; those of the others follow ``headStride`` elements apart. There
  /// must be room for the position. Valid until the next ``reserve(end:length:)``.
  func row(_ position: Int) -> (key: UnsafeMutableRawPointer, value: UnsafeMutableRawPointer) {
    let offset = position % capacity * headDimension * elementType.byteCount
    return (keys.baseAddress + offset, values.baseAddress + offset)
  }

  /// The keys and values that queries from `position` on see, up to `end`, from a whole block on: one run, or two where
  /// the ring wraps around.
  func segments(from position: Int, to end: Int) -> [KeyValueSegment] {
    let first = firstVisible(from: position) / Self.step * Self.step
    var segments: [KeyValueSegment] = []
    var next = first
    while next < end {
      let row = row(next)
      let count = min(end - next, capacity - next % capacity)
      let strides = AttentionStrides(batch: 0, head: headStride, position: headDimension)
      segments.append(
        KeyValueSegment(keys: row.key, keyStrides: strides, values: row.value, valueStrides: strides, count: count))
      next += count
    }
    return segments
  }
}
