internal import FoveaAttention
internal import FoveaCore

/// The keys and values of a text's first positions, which stay when a ring moves on: `[head, position, element]` each.
struct SinkRows {
  /// The number of positions.
  let count: Int
  private let headCount: Int
  private let rowByteCount: Int
  let keys: TensorStorage
  let values: TensorStorage

  init(count: Int, headCount: Int, rowByteCount: Int) {
    self.count = count
    self.headCount = headCount
    self.rowByteCount = rowByteCount
    keys = TensorStorage(byteCount: headCount * count * rowByteCount)
    values = TensorStorage(byteCount: headCount * count * rowByteCount)
  }

  /// The memory held, in bytes.
  var byteCount: Int { keys.byteCount + values.byteCount }

  /// Takes the key and the value of `position` of every head; those of the first are given, the others follow
  /// `headByteCount` bytes apart.
  func copy(_ position: Int, keys: UnsafeRawPointer, values: UnsafeRawPointer, headByteCount: Int) {
    for head in 0..<headCount {
      let offset = (head * count + position) * rowByteCount
      (self.keys.baseAddress + offset).copyMemory(from: keys + head * headByteCount, byteCount: rowByteCount)
      (self.values.baseAddress + offset).copyMemory(from: values + head * headByteCount, byteCount: rowByteCount)
    }
  }

  /// The rows as attention reads them.
  func segment(headDimension: Int, span: Int) -> KeyValueSegment {
    let strides = AttentionStrides(batch: 0, head: count * headDimension, position: headDimension)
    return KeyValueSegment(
      keys: keys.baseAddress, keyStrides: strides, values: values.baseAddress, valueStrides: strides, count: count,
      span: span)
  }

  /// The same rows in memory of their own.
  func copied() -> SinkRows {
    let copy = SinkRows(count: count, headCount: headCount, rowByteCount: rowByteCount)
    copy.keys.baseAddress.copyMemory(from: keys.baseAddress, byteCount: keys.byteCount)
    copy.values.baseAddress.copyMemory(from: values.baseAddress, byteCount: values.byteCount)
    return copy
  }
}
