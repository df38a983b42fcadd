internal import FoveaCore

/// The buffers of an encoder's evaluation, reused from call to call.
///
/// Used only inside an operation of the model's stream, which runs one operation at a time: hence `@unchecked Sendable`.
final class EncoderWorkspace: @unchecked Sendable {
  enum Buffer: Int, CaseIterable {
    case hiddenStates
    /// The hidden states in the type of products.
    case inputs
    /// Queries, keys and values side by side.
    case projected
    case attended
    /// What a block adds to the hidden states.
    case branch
    /// Between the matrices of a feed-forward block; with room for ``PackedRows``.
    case activated
  }

  private let sizes: [(width: Int, type: ElementType)]
  /// One for all buffers: large enough for huge pages.
  private var storage = TensorStorage(byteCount: 0)
  private var offsets: [Int] = []
  private var rowCapacity = -1
  /// Hidden states alone, where the rest lies in the threads' own memory.
  private var states = TensorStorage(byteCount: 0)

  init(_ configuration: EncoderConfiguration, activationType: ElementType) {
    let hiddenSize = configuration.hiddenSize
    sizes = Buffer.allCases.map { buffer in
      switch buffer {
      case .hiddenStates, .branch: (hiddenSize, .float32)
      case .inputs: (activationType == .float32 ? 0 : hiddenSize, activationType)
      case .projected: (3 * hiddenSize, .float32)
      case .attended: (hiddenSize, activationType)
      case .activated: (configuration.intermediateSize, activationType)
      }
    }
  }

  /// Makes every buffer hold at least `rowCount` rows.
  func reserve(_ rowCount: Int) {
    guard rowCount > rowCapacity else { return }
    var end = 0
    offsets = sizes.enumerated().map { index, size in
      // Buffers that begin at the same place of a page get in each other's way in the first-level cache.
      let begin = (end + 4095) / 4096 * 4096 + index % 8 * 512
      let packedByteCount =
        index == Buffer.activated.rawValue ? PackedRows.byteCount(rowCount: rowCount, depth: size.width) : 0
      end = begin + max(packedByteCount, rowCount * size.width * size.type.byteCount)
      return begin
    }
    storage = TensorStorage(uninitializedByteCount: end)
    rowCapacity = rowCount
  }

  /// The first `count` rows of a buffer.
  func rows(_ buffer: Buffer, count: Int) -> ActivationRows {
    let size = sizes[buffer.rawValue]
    return ActivationRows(
      base: storage.baseAddress + offsets[buffer.rawValue], type: size.type, stride: size.width, count: count)
  }

  /// Hidden states of `count` rows, apart from the buffers that are reserved together.
  func states(count: Int) -> ActivationRows {
    let size = sizes[Buffer.hiddenStates.rawValue]
    let byteCount = count * size.width * size.type.byteCount
    if states.byteCount < byteCount { states = TensorStorage(uninitializedByteCount: byteCount) }
    return ActivationRows(base: states.baseAddress, type: size.type, stride: size.width, count: count)
  }
}
