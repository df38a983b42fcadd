internal import FoveaCore

/// What a saved cache holds of the codes of one layer.
extension CodedStore {
  /// `[headCount, blocks, bytes]`: the blocks that a text of `length` positions reads, the first of which is that of
  /// position `first`.
  func tensor(first: Int, length: Int) -> Tensor {
    let blocks = savedBlocks(first: first, length: length)
    let copy = Tensor(uninitialized: [headCount, blocks.count, blockByteCount], elementType: .uint8)
    for (index, block) in blocks.enumerated() {
      for head in 0..<headCount {
        (copy.baseAddress + (head * blocks.count + index) * blockByteCount).copyMemory(
          from: address(block: block, head: head), byteCount: blockByteCount)
      }
    }
    return copy
  }

  /// Takes what ``tensor(first:length:)`` gave.
  ///
  /// - Throws: ``ModelError`` for a tensor of another shape.
  mutating func restore(_ tensor: Tensor, first: Int, length: Int) throws(ModelError) {
    let blocks = savedBlocks(first: first, length: length)
    let shape = [headCount, blocks.count, blockByteCount]
    guard tensor.elementType == .uint8, tensor.shape == shape else {
      throw ModelError(
        .invalidCacheFile, "has codes of \(tensor.elementType) \(tensor.shape), expected \(ElementType.uint8) \(shape)")
    }
    reserve(end: length)
    for (index, block) in blocks.enumerated() {
      for head in 0..<headCount {
        address(block: block, head: head).copyMemory(
          from: tensor.baseAddress + (head * blocks.count + index) * blockByteCount, byteCount: blockByteCount)
      }
    }
    withExtendedLifetime(tensor) {}
  }

  private func savedBlocks(first: Int, length: Int) -> Range<Int> {
    let end = length / Self.blockLength
    return min(end, first / Self.blockLength)..<end
  }
}
