internal import FoveaCore

/// The buffers of one evaluation, reused from call to call.
///
/// A model's workspace is used only inside an operation of the model's stream, and a stream runs one operation at a
/// time: hence `@unchecked Sendable`.
final class Workspace: @unchecked Sendable {
  private(set) var rowCapacity = 0
  private var storages: [TensorStorage] = []
  private var buffers: [ActivationRows] = []
  private let sizes: [(width: Int, type: ElementType)]

  /// `sizes` are the widths and types of the buffers, in the order in which ``rows(_:count:)`` names them.
  init(sizes: [(width: Int, type: ElementType)]) {
    self.sizes = sizes
  }

  /// Makes every buffer hold at least `rowCount` rows.
  func reserve(_ rowCount: Int) {
    guard rowCount > rowCapacity else { return }
    storages = sizes.map { TensorStorage(uninitializedByteCount: rowCount * $0.width * $0.type.byteCount) }
    buffers = zip(sizes, storages).map { size, storage in
      ActivationRows(base: storage.baseAddress, type: size.type, stride: size.width, count: rowCount)
    }
    rowCapacity = rowCount
  }

  /// The first `count` rows of buffer `index`.
  func rows(_ index: Int, count: Int) -> ActivationRows {
    var rows = buffers[index]
    rows.count = count
    return rows
  }
}
