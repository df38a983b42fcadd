internal import CFoveaKernels
internal import FoveaCore

/// Rows that go through one expert, and where its results go.
struct RowGroup {
  var block: GatedBlock
  /// Consecutive rows of the tokens that chose the expert.
  var activations: ActivationRows
  /// As many rows, between the expert's matrices.
  var activated: ActivationRows
  /// As many rows of float32.
  var outputs: ActivationRows
}

extension LinearWeights {
  /// Columns `columns` of activations · weightᵀ + bias, to `outputs`, which starts at the first of them.
  fileprivate func multiply(
    _ kernels: fovea_kernels, _ activations: ActivationRows, rows: Range<Int>, columns: Range<Int>,
    outputs: UnsafeMutablePointer<Float>, outputStride: Int
  ) {
    var work = work(
      activations, rows: rows, columns: columns, outputs: outputs, outputStride: outputStride, accumulates: false)
    kernel(kernels, activationType: activations.type.kernelElement)?(&work)
  }
}

/// Pieces of about the same size of products of several groups, numbered through.
private struct GroupPieces {
  private var ends: [Int] = []
  private let grain: Int
  private let columnCounts: [Int]

  init(columnCounts: [Int], grain: Int) {
    self.grain = grain
    self.columnCounts = columnCounts
    var end = 0
    for count in columnCounts {
      end += (count + grain - 1) / grain
      ends.append(end)
    }
  }

  var count: Int { ends.last ?? 0 }

  /// The group of a piece and its columns.
  func piece(_ index: Int) -> (group: Int, columns: Range<Int>) {
    // The first group that ends after the piece.
    var low = 0
    var high = ends.count - 1
    while low < high {
      let middle = (low + high) / 2
      if ends[middle] > index { high = middle } else { low = middle + 1 }
    }
    let first = (index - (low == 0 ? 0 : ends[low - 1])) * grain
    return (low, first..<min(columnCounts[low], first + grain))
  }
}

extension ComputeStream {
  /// outputs = function(activations · upᵀ), converted to the type of `outputs`, as one phase.
  func multiplyActivated(
    _ activations: ActivationRows, up: LinearWeights, activation: Activation, into outputs: ActivationRows
  ) {
    let kernels = self.kernels
    let grain = min(64, columnGrain(rowCount: activations.count, columnCount: up.outputSize))
    let pieces = GroupPieces(columnCounts: [up.outputSize], grain: grain)
    let rowBlock = min(128, activations.count)
    forEachPiece(pieces.count, scratchByteCount: rowBlock * grain * MemoryLayout<Float>.stride) { piece, scratch in
      let columns = pieces.piece(piece).columns
      let sums = scratch.assumingMemoryBound(to: Float.self)
      for first in stride(from: 0, to: activations.count, by: rowBlock) {
        let rows = first..<min(activations.count, first + rowBlock)
        up.multiply(kernels, activations, rows: rows, columns: columns, outputs: sums, outputStride: grain)
        for row in rows {
          activation.apply(
            kernels, gate: sums + (row - first) * grain, up: nil,
            outputs: outputs.row(row) + columns.lowerBound * outputs.type.byteCount,
            outputElement: outputs.type.kernelElement, count: columns.count)
        }
      }
    }
  }

  /// Takes every group's rows through its block: two phases for all groups together, so that all threads work even where
  /// each group has one row.
  func multiplyGroups(_ groups: [RowGroup], activation: Activation) {
    let kernels = self.kernels
    let rowBlock = 128
    let mostRows = groups.map(\.activations.count).max() ?? 0
    func pieces(_ columnCounts: [Int]) -> (GroupPieces, grain: Int) {
      let total = columnCounts.reduce(0, +)
      let grain = min(64, columnGrain(rowCount: mostRows, columnCount: total))
      return (GroupPieces(columnCounts: columnCounts, grain: grain), grain)
    }

    let (inner, innerGrain) = pieces(groups.map(\.block.gate.outputSize))
    let halfCount = min(rowBlock, mostRows) * innerGrain
    forEachPiece(inner.count, scratchByteCount: 2 * halfCount * MemoryLayout<Float>.stride) { piece, scratch in
      let (index, columns) = inner.piece(piece)
      let group = groups[index]
      let (gates, ups) = (
        scratch.assumingMemoryBound(to: Float.self), scratch.assumingMemoryBound(to: Float.self) + halfCount
      )
      for first in stride(from: 0, to: group.activations.count, by: rowBlock) {
        let rows = first..<min(group.activations.count, first + rowBlock)
        for (weights, half) in [(group.block.gate, gates), (group.block.up, ups)] {
          weights.multiply(
            kernels, group.activations, rows: rows, columns: columns, outputs: half, outputStride: innerGrain)
        }
        for row in rows {
          let offset = (row - first) * innerGrain
          activation.apply(
            kernels, gate: gates + offset, up: ups + offset,
            outputs: group.activated.row(row) + columns.lowerBound * group.activated.type.byteCount,
            outputElement: group.activated.type.kernelElement, count: columns.count)
        }
      }
    }

    let (outer, _) = pieces(groups.map(\.block.down.outputSize))
    forEachPiece(outer.count) { piece, _ in
      let (index, columns) = outer.piece(piece)
      let group = groups[index]
      group.block.down.multiply(
        kernels, group.activated, rows: 0..<group.activated.count, columns: columns,
        outputs: group.outputs.floats() + columns.lowerBound, outputStride: group.outputs.stride)
    }
  }
}
