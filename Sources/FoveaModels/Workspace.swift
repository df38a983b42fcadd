internal import FoveaCore

/// The buffers of one evaluation, reused from call to call.
///
/// A model's workspace is used only inside an operation of the model's stream, and a stream runs one operation at a
/// time: hence `@unchecked Sendable`.
final class Workspace: @unchecked Sendable {
  /// What a buffer holds, a row for each token.
  enum Buffer: Int, CaseIterable {
    /// The residual stream.
    case hiddenStates
    /// What enters a block.
    case normed
    /// Queries, keys and values side by side, before they are turned.
    case projected
    case queries
    /// The queries as they read the first keys of a text in a streaming cache.
    case sinkQueries
    case attended
    /// Between the matrices of a feed-forward block; with room for ``PackedRows``.
    case activated
    /// Cosines and sines of each rotary setting.
    case angles
    /// What a block adds to the residual stream, where that is normed or scaled first.
    case branch
    /// The router's score of every expert.
    case routerLogits
    /// For each expert of a token in turn: what enters it, what is between its matrices, and what comes out.
    case expertInputs
    case expertActivated
    case expertOutputs
  }

  private(set) var rowCapacity = 0
  private var storages: [TensorStorage] = []
  private var buffers: [ActivationRows] = []
  private let roundsToCodes: Bool
  private let sizes: [(width: Int, type: ElementType)]

  /// `size` gives the width and type of each buffer; `roundsToCodes` goes to the rows.
  init(roundsToCodes: Bool, size: (Buffer) -> (width: Int, type: ElementType)) {
    self.roundsToCodes = roundsToCodes
    sizes = Buffer.allCases.map(size)
  }

  /// Makes every buffer hold at least `rowCount` rows.
  func reserve(_ rowCount: Int) {
    guard rowCount > rowCapacity else { return }
    storages = zip(Buffer.allCases, sizes).map { buffer, size in
      let byteCount = rowCount * size.width * size.type.byteCount
      let packedByteCount =
        buffer == .activated ? PackedRows.byteCount(rowCount: rowCount, depth: size.width) : 0
      return TensorStorage(uninitializedByteCount: max(byteCount, packedByteCount))
    }
    buffers = zip(sizes, storages).map { size, storage in
      ActivationRows(
        base: storage.baseAddress, type: size.type, stride: size.width, count: rowCount,
        roundsToCodes: roundsToCodes)
    }
    rowCapacity = rowCount
  }

  /// The first `count` rows of a buffer.
  func rows(_ buffer: Buffer, count: Int) -> ActivationRows {
    var rows = buffers[buffer.rawValue]
    rows.count = count
    return rows
  }
}

extension ActivationRows {
  /// Some of the rows.
  func rows(_ range: Range<Int>) -> ActivationRows {
    ActivationRows(
      base: row(range.lowerBound), type: type, stride: stride, count: range.count, roundsToCodes: roundsToCodes)
  }

  /// The same memory as rows of a part of the width each.
  func split(into parts: Int) -> ActivationRows {
    ActivationRows(
      base: base, type: type, stride: stride / parts, count: count * parts, roundsToCodes: roundsToCodes)
  }
}
