internal import CFoveaKernels
internal import FoveaAttention
internal import FoveaCore

/// The keys and values of one layer in codes, a block of positions at a time: block b lies in slot b mod slotCount.
struct CodedStore {
  /// The most blocks held at a time.
  let slotLimit: Int
  private let format: fovea_code_format
  let headCount: Int
  private(set) var slotCount = 0
  /// The first block of the text that was ever there: not the first one where a saved cache was restored.
  var firstBlock = 0
  private(set) var storage = TensorStorage(byteCount: 0)

  /// The positions of a block.
  static let blockLength = Int(FOVEA_KEY_BLOCK)

  /// `shownCount` is the most positions that a query sees, `rowsPerChunk` the most tokens evaluated together.
  init(
    _ quantization: CacheQuantization, shownCount: Int?, lengthLimit: Int, rowsPerChunk: Int, headCount: Int,
    headDimension: Int
  ) {
    format = quantization.format(headDimension: headDimension)
    self.headCount = headCount
    // The window of a chunk's first token may begin, and its last token end, inside of a block.
    let needed = shownCount.map { $0 + rowsPerChunk + 2 * Self.blockLength } ?? lengthLimit
    slotLimit = max(1, min(needed, lengthLimit) / Self.blockLength)
  }

  /// The memory held, in bytes.
  var byteCount: Int { storage.byteCount }

  /// The memory that a text of `count` positions takes, in bytes.
  func byteCount(positions count: Int) -> Int {
    byteCount(blocks: min(count / Self.blockLength, slotLimit))
  }

  /// The memory of `count` blocks of every head, in bytes.
  func byteCount(blocks count: Int) -> Int { headCount * count * format.blockByteCount }

  /// Whether the blocks from that of `position` on are there, if those up to `end` were written.
  func holds(from position: Int, writtenEnd end: Int) -> Bool {
    position / Self.blockLength >= max(firstBlock, end / Self.blockLength - slotCount)
  }

  /// Begins another text.
  mutating func clear() { firstBlock = 0 }

  /// Makes room for the blocks of positions up to `end`.
  mutating func reserve(end: Int) {
    let needed = min(end / Self.blockLength, slotLimit)
    guard needed > slotCount else { return }
    // Up to the limit every block lies in the slot of its number.
    grow(to: min(slotLimit, max(needed, slotCount + slotCount / 2)))
  }

  private mutating func grow(to newCount: Int) {
    let byteCount = format.blockByteCount
    let new = TensorStorage(uninitializedByteCount: headCount * newCount * byteCount)
    for head in 0..<headCount {
      (new.baseAddress + head * newCount * byteCount).copyMemory(
        from: storage.baseAddress + head * slotCount * byteCount, byteCount: slotCount * byteCount)
    }
    storage = new
    slotCount = newCount
  }

  /// The same blocks in memory of their own.
  func copied() -> CodedStore {
    var copy = self
    copy.grow(to: slotCount)
    return copy
  }

  /// The bytes of a block of one head.
  var blockByteCount: Int { format.blockByteCount }

  /// Where a block of a head lies.
  func address(block: Int, head: Int) -> UnsafeMutableRawPointer {
    storage.baseAddress + (head * slotCount + block % slotCount) * blockByteCount
  }

  /// Writes one block of one head; `keys` and `values` are its first rows, whose elements are `headDimension` apart.
  func write(
    block: Int, head: Int, keys: UnsafeRawPointer, values: UnsafeRawPointer, element: fovea_element,
    kernels: UnsafePointer<fovea_kernels>
  ) {
    let stride = format.dimension
    var work = fovea_code_block(
      format: format, keys: keys, key_stride: stride, values: values, value_stride: stride, element: element,
      block: address(block: block, head: head))
    kernels.pointee.code_block(&work)
  }

  /// The blocks from `firstBlock` on as attention reads them.
  func blocks(from firstBlock: Int) -> CodedBlocks? {
    guard slotCount > 0 else { return nil }
    return CodedBlocks(
      base: storage.baseAddress, format: format, slotCount: slotCount, firstSlot: firstBlock % slotCount)
  }
}
