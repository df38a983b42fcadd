internal import FoveaCore

/// Where copies of matrices lie one behind another: a large storage has fewer and larger pages than hundreds of small ones.
/// What is never written takes no memory.
struct CopyArea {
  private var storage = TensorStorage(byteCount: 0)
  private var usedByteCount = 0

  /// The size of a storage, unless a matrix needs more.
  private static let storageByteCount = 256 << 20

  /// Room behind what is taken, in another storage if it must be; the next call gives the same unless it is taken.
  mutating func room(byteCount: Int) -> (storage: TensorStorage, byteOffset: Int) {
    let alignment = TensorStorage.alignmentByteCount
    var offset = (usedByteCount + alignment - 1) / alignment * alignment
    if offset + byteCount > storage.byteCount {
      storage = TensorStorage(uninitializedByteCount: max(byteCount, Self.storageByteCount))
      usedByteCount = 0
      offset = 0
    }
    return (storage, offset)
  }

  /// Takes the last room, which ends at byte `end` of its storage.
  mutating func take(upTo end: Int) { usedByteCount = end }
}
