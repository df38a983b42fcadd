internal import FoveaCore

/// What a saved cache holds of the codes of one layer.
extension CodedStore {
  /// `[headCount, blocks, bytes]`: the blocks that are there of a text of `length` positions, of `writtenEnd` that were
  /// written.
  func tensor(length: Int, writtenEnd: Int) -> Tensor {
    let end = length / Self.blockLength
    let blocks = min(end, max(firstBlock, writtenEnd / Self.blockLength - slotCount))..<end
    let copy = Tensor(uninitialized: [headCount, blocks.count, blockByteCount], elementType: .uint8)
    for (index, block) in blocks.enumerated() {
      for head in 0..<headCount {
        (copy.baseAddress + (head * blocks.count + index) * blockByteCount).copyMemory(
          from: address(block: block, head: head), byteCount: blockByteCount)
      }
    }
    return copy
  }

  /// Takes what ``tensor(length:writtenEnd:)`` gave; the block of position `first` and those behind it must be there.
  ///
  /// - Throws: ``ModelError`` for a tensor of another shape, or with too few blocks.
  mutating func restore(_ tensor: Tensor, first: Int, length: Int) throws(ModelError) {
    let end = length / Self.blockLength
    let count = tensor.shape.count == 3 ? tensor.shape[1] : 0
    let least = max(0, end - first / Self.blockLength)
    guard tensor.elementType == .uint8, tensor.shape == [headCount, count, blockByteCount],
      (least...max(least, min(end, slotLimit))).contains(count)
    else {
      throw ModelError(
        .invalidCacheFile,
        "has codes of \(tensor.elementType) \(tensor.shape), expected \(ElementType.uint8) [\(headCount), \(least) or "
          + "more, \(blockByteCount)]")
    }
    clear()
    reserve(end: length)
    firstBlock = end - count
    for index in 0..<count {
      for head in 0..<headCount {
        address(block: firstBlock + index, head: head).copyMemory(
          from: tensor.baseAddress + (head * count + index) * blockByteCount, byteCount: blockByteCount)
      }
    }
    withExtendedLifetime(tensor) {}
  }
}
