internal import CFoveaKernels
internal import FoveaAttention
internal import FoveaCore

/// The keys and values of one layer.
///
/// A layer that attends to everything has room for the whole text. A windowed layer, and every layer of a cache of bounded
/// size, has a ring: position p lies in slot p mod capacity. Where the first positions stay when the ring moves on, they
/// have rows of their own beside it. Attention counts its blocks of keys from position 0, and its bits follow from that;
/// so the keys that a windowed layer hands to it start at a whole block, and the ring holds the window, what its block
/// begins with, and the tokens that are evaluated together.
///
/// In a quantised cache the ring holds the latest tokens only. Every block that is whole is written in codes too, and
/// read as such by what comes after it.
struct KeyValueStore {
  /// The most positions the store has room for at a time; fewer than the text may have where the layer is windowed.
  let capacityLimit: Int
  let elementType: ElementType
  private let window: Int?
  /// Where the first positions stay, which and for whom.
  let bound: CacheBound?
  let headCount: Int
  let headDimension: Int
  private(set) var capacity = 0
  private(set) var keys = TensorStorage(byteCount: 0)
  private(set) var values = TensorStorage(byteCount: 0)
  /// The first positions; there from the first ``reserve(end:length:)`` on.
  private(set) var sinks: SinkRows?
  /// The blocks that are whole, of a quantised cache.
  var coded: CodedStore?
  /// One past the last position ever written since the store was cleared.
  private(set) var writtenEnd = 0

  /// Room is added in steps of this many positions, and by at least half of what is there.
  private static let step = Int(FOVEA_KEY_BLOCK)

  /// `lengthLimit` is the most positions that a text may have, `rowsPerChunk` the most tokens that are evaluated
  /// together.
  init(
    window: Int?, bound: CacheBound? = nil, lengthLimit: Int, rowsPerChunk: Int, headCount: Int, headDimension: Int,
    elementType: ElementType, quantization: CacheQuantization? = nil
  ) {
    self.window = window
    self.bound = bound
    self.headCount = headCount
    self.headDimension = headDimension
    self.elementType = elementType
    // Until it is full, a bounded cache shows all that it holds.
    let shownCount = [window, bound?.size].compactMap { $0 }.min()
    coded = quantization.map {
      CodedStore(
        $0, shownCount: shownCount, lengthLimit: lengthLimit, rowsPerChunk: rowsPerChunk, headCount: headCount,
        headDimension: headDimension)
    }
    // With codes, a token reads rows of its own block only.
    let rowCount = quantization == nil ? shownCount : 1
    let needed = rowCount.map { $0 - 1 + Self.step - 1 + rowsPerChunk } ?? lengthLimit
    capacityLimit = min(lengthLimit, (min(needed, lengthLimit) + Self.step - 1) / Self.step * Self.step)
  }

  /// The memory held, in bytes.
  var byteCount: Int { keys.byteCount + values.byteCount + (sinks?.byteCount ?? 0) + (coded?.byteCount ?? 0) }

  /// The memory of `count` positions, in bytes.
  func byteCount(positions count: Int) -> Int {
    2 * min(count, capacityLimit) * headCount * headDimension * elementType.byteCount
      + (coded?.byteCount(positions: count) ?? 0)
  }

  /// The bytes that the token at `position` reads, but for those of first positions that lie apart.
  func byteCountRead(at position: Int) -> Int {
    let (first, row) = (firstVisible(from: position), firstRow(from: position))
    return 2 * (position + 1 - row) * headCount * headDimension * elementType.byteCount
      + (coded?.byteCount(blocks: (row - first + Self.step - 1) / Self.step) ?? 0)
  }

  /// Elements from one head to the next.
  var headStride: Int { capacity * headDimension }

  /// The first position whose key a query at `position` or later sees.
  func firstVisible(from position: Int) -> Int {
    let first = window.map { max(0, position - $0 + 1) } ?? 0
    guard let bound, position >= bound.size else { return first }
    return max(first, position - bound.recentCount + 1)
  }

  /// Whether the keys that a query at `position` sees are still there.
  func canContinue(from position: Int) -> Bool {
    guard position > 0 else { return true }
    let first = firstVisible(from: position)
    guard let coded else { return first >= writtenEnd - capacity }
    return firstRow(from: position) >= writtenEnd - capacity && coded.holds(from: first, writtenEnd: writtenEnd)
  }

  /// The first position that a query at `position` or later reads as a row.
  func firstRow(from position: Int) -> Int {
    let first = firstVisible(from: position)
    return coded == nil ? first : max(first, position / Self.step * Self.step)
  }

  /// Makes room for a text of `length` positions, of which those from `first` on are about to be written.
  mutating func reserve(length: Int, from first: Int) {
    reserve(end: length, length: 0)
    guard first > 0 else { return }
    // Positions before `first` are never there.
    writtenEnd = first + capacity
    // What lies in a block before the first position that is there is multiplied by weights of zero.
    for storage in [keys, values] {
      storage.baseAddress.initializeMemory(as: UInt8.self, repeating: 0, count: storage.byteCount)
    }
  }

  /// Makes room for positions up to `end`, of which those before `length` are there.
  mutating func reserve(end: Int, length: Int) {
    writtenEnd = length == 0 ? end : max(writtenEnd, end)
    if length == 0 { coded?.clear() }
    if let bound, sinks == nil {
      sinks = SinkRows(
        count: bound.sinkCount, headCount: headCount, rowByteCount: headDimension * elementType.byteCount)
    }
    coded?.reserve(end: end)
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

  /// The same store with memory of its own.
  func copied() -> KeyValueStore {
    var copy = self
    copy.keys = grow(keys, to: capacity, keeping: capacity)
    copy.values = grow(values, to: capacity, keeping: capacity)
    copy.sinks = sinks?.copied()
    copy.coded = coded?.copied()
    return copy
  }

  /// Where the key and the value of the first head go; those of the others follow ``headStride`` elements apart. There
  /// must be room for the position. Valid until the next ``reserve(end:length:)``.
  func row(_ position: Int) -> (key: UnsafeMutableRawPointer, value: UnsafeMutableRawPointer) {
    let offset = position % capacity * headDimension * elementType.byteCount
    return (keys.baseAddress + offset, values.baseAddress + offset)
  }

  /// Puts what stays of the positions from `position` to `end` where it stays: must be called as soon as they are
  /// written, before anything reads them.
  func complete(from position: Int, to end: Int, on stream: ComputeStream) {
    keepSinks(from: position, to: end)
    writeCodes(from: position, to: end, on: stream)
  }

  /// Copies those of the positions from `position` to `end` that stay when the ring moves on.
  private func keepSinks(from position: Int, to end: Int) {
    guard let sinks, position < sinks.count else { return }
    let headByteCount = headStride * elementType.byteCount
    for position in position..<min(end, sinks.count) {
      let row = row(position)
      sinks.copy(position, keys: row.key, values: row.value, headByteCount: headByteCount)
    }
  }

  /// The keys and values that queries from `position` on see, up to `end`, from a whole block on: one run, or two where
  /// the ring wraps around; before them those that lie apart, if a query sees such.
  func segments(from position: Int, to end: Int) -> [KeyValueSegment] {
    var segments: [KeyValueSegment] = []
    if let prefix = visiblePrefix(from: position, to: end), let sinks {
      segments.append(sinks.segment(headDimension: headDimension, span: prefix.span))
    }
    let first = firstVisible(from: position) / Self.step * Self.step
    var next = firstRow(from: position) / Self.step * Self.step
    if next > first {
      let none = AttentionStrides(batch: 0, head: 0, position: 0)
      segments.append(
        KeyValueSegment(
          keys: keys.baseAddress, keyStrides: none, values: values.baseAddress, valueStrides: none, count: 0,
          span: next - first))
    }
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

  /// Writes the blocks in codes that the positions from `position` to `end`, which are just written, made whole.
  private func writeCodes(from position: Int, to end: Int, on stream: ComputeStream) {
    guard let coded else { return }
    let blocks = position / Self.step..<end / Self.step
    let headByteCount = headStride * elementType.byteCount
    let kernels = stream.kernelTable
    stream.forEachPiece(blocks.count * headCount) { piece, _ in
      let (block, head) = (blocks.lowerBound + piece / headCount, piece % headCount)
      let row = row(block * Self.step)
      coded.write(
        block: block, head: head, keys: row.key + head * headByteCount, values: row.value + head * headByteCount,
        element: elementType.kernelElement, kernels: kernels)
    }
  }

  /// What queries from `position` on read in codes, from the block on with which ``segments(from:to:)`` begins.
  func codes(from position: Int) -> CodedBlocks? { coded?.blocks(from: firstVisible(from: position) / Self.step) }

  /// Which of the keys that ``segments(from:to:)`` gives each query sees; `keyLength` is the sum of their spans.
  func visibleKeys(from position: Int, to end: Int, keyLength: Int) -> VisibleKeys {
    VisibleKeys(
      queryLength: end - position, keyLength: keyLength, isCausal: true, options: AttentionOptions(window: window),
      prefix: visiblePrefix(from: position, to: end))
  }

  /// How queries see the first positions apart from the latest ones; nil where each sees all that it sees in one run.
  ///
  /// Whether a query does depends on its position alone, and with it its bits.
  func visiblePrefix(from position: Int, to end: Int) -> VisiblePrefix? {
    guard let bound, end > bound.size else { return nil }
    let firstQuery = max(0, bound.size - position)
    let index = bound.isStreaming ? bound.size - 1 : position + firstQuery
    return VisiblePrefix(
      count: bound.sinkCount, firstQuery: firstQuery, recentCount: bound.recentCount,
      firstKey: window.map { index - $0 + 1 } ?? 0, firstKeyStep: window == nil || bound.isStreaming ? 0 : 1)
  }
}
