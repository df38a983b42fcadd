internal import FoveaAttention
internal import FoveaCore

/// What MPNet adds to the attention scores by the distance between query and key: a learned value for each head and
/// bucket of distances, the same in all layers (T5's scheme: Raffel et al. 2020, arXiv 1910.10683, section 2.1).
struct RelativePositions: Sendable {
  static let bucketCount = 32

  /// `[headCount, 2 · limit − 1]` float32: the values by key position − query position, from 1 − limit on.
  private let values: Tensor
  private let limit: Int

  /// - Parameters:
  ///   - table: `[bucketCount, headCount]`.
  ///   - limit: the most tokens of a text.
  init(table: Tensor, limit: Int) {
    let headCount = table.shape[1]
    let stored = table.floats()
    let width = 2 * limit - 1
    values = Tensor(
      (0..<headCount * width).map { stored[Self.bucket($0 % width - (limit - 1)) * headCount + $0 / width] },
      shape: [headCount, width])
    self.limit = limit
  }

  /// The bucket of a key `distance` positions behind its query: of 16 for either direction, 8 are single distances, and
  /// the others grow by a factor of √2, in integers: d ≥ 8 · √2ᵏ where d² ≥ 64 · 2ᵏ.
  static func bucket(_ distance: Int) -> Int {
    let direction = distance > 0 ? bucketCount / 2 : 0
    let magnitude = min(abs(distance), 128)
    guard magnitude >= 8 else { return direction + magnitude }
    let growth = (0...7).last { magnitude * magnitude >= 64 << $0 } ?? 0
    return direction + 8 + growth
  }

  /// The additive mask of a text of `length` tokens, `[1, headCount, length, length]`: a view, whose rows are the values
  /// shifted by one.
  func mask(length: Int) -> BroadcastMask {
    let width = values.shape[1]
    return BroadcastMask(
      Tensor(
        storage: values.storage, byteOffset: (limit - 1) * MemoryLayout<Float>.stride, elementType: .float32,
        shape: [1, values.shape[0], length, length], strides: [0, width, -1, 1]))
  }
}
