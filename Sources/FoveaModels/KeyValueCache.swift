public import FoveaCore

/// The keys and values of every position evaluated so far, for every layer: contiguous, growing in steps.
///
/// One owner at a time: whoever evaluates with a cache must be the only one that uses it.
public final class KeyValueCache {
  /// The number of positions held.
  public private(set) var length = 0
  /// The most positions that the model allows.
  public let contextLength: Int
  /// The type of the stored keys and values.
  public let elementType: ElementType
  let layerCount: Int
  let keyValueHeadCount: Int
  let headDimension: Int
  private var capacity = 0
  private var layers: [(keys: TensorStorage, values: TensorStorage)] = []

  /// Positions are added in steps of this many, and by at least half of what is there.
  private static let step = 256

  init(layerCount: Int, keyValueHeadCount: Int, headDimension: Int, contextLength: Int, elementType: ElementType) {
    self.layerCount = layerCount
    self.keyValueHeadCount = keyValueHeadCount
    self.headDimension = headDimension
    self.contextLength = contextLength
    self.elementType = elementType
  }

  /// The memory held, in bytes.
  public var byteCount: Int { layers.reduce(0) { $0 + $1.keys.byteCount + $1.values.byteCount } }

  /// Forgets every position from `length` on; they are evaluated anew when their tokens come again.
  public func trim(to length: Int) {
    precondition(length >= 0 && length <= self.length, "a cache of \(self.length) positions cannot keep \(length)")
    self.length = length
  }

  /// Makes room for `count` more positions without counting them yet.
  func reserve(_ count: Int) {
    let needed = length + count
    guard needed > capacity else { return }
    let grown = max(needed, capacity + capacity / 2)
    let newCapacity = min(max(contextLength, needed), (grown + Self.step - 1) / Self.step * Self.step)
    let rowByteCount = headDimension * elementType.byteCount
    let oldCapacity = capacity
    func grow(_ old: TensorStorage?) -> TensorStorage {
      let new = TensorStorage(uninitializedByteCount: keyValueHeadCount * newCapacity * rowByteCount)
      guard let old else { return new }
      for head in 0..<keyValueHeadCount {
        (new.baseAddress + head * newCapacity * rowByteCount).copyMemory(
          from: old.baseAddress + head * oldCapacity * rowByteCount, byteCount: length * rowByteCount)
      }
      return new
    }
    // Layer by layer, so that the old and the new memory of one layer only are held together.
    for layer in 0..<layerCount {
      let old = layer < layers.count ? layers[layer] : nil
      let new = (keys: grow(old?.keys), values: grow(old?.values))
      if old == nil { layers.append(new) } else { layers[layer] = new }
    }
    capacity = newCapacity
  }

  /// Counts positions whose keys and values every layer has written.
  func advance(by count: Int) {
    length += count
  }

  /// The keys and values of a layer: `[keyValueHeadCount, capacity, headDimension]`, row-major, with the distance
  /// between heads in elements. Valid until the next ``reserve(_:)``.
  func rows(ofLayer layer: Int) -> (keys: UnsafeMutableRawPointer, values: UnsafeMutableRawPointer, headStride: Int) {
    (layers[layer].keys.baseAddress, layers[layer].values.baseAddress, capacity * headDimension)
  }
}
