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

/// Pieces of about the same size of products of several groups, numbered through.
struct GroupPieces {
  private var ends: [Int] = []
  private let grain: Int
  private let columnCounts: [Int]

  init(columnCounts: [Int], grain: Int) {
    self.grain = grain
    self.columnCounts = columnCounts
    var end = 0
    ends.reserveCapacity(columnCounts.count)
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
  /// Takes every group's rows through its block: two phases for all groups together, so that all threads work even where
  /// each group has one row.
  ///
  /// The groups' rows lie one group after another, in the order of `groups`.
  func multiplyGroups(_ groups: [RowGroup], activation: Activation) {
    guard let first = groups.first else { return }
    let kernels = kernelTable
    let rowCount = groups.reduce(0) { $0 + $1.activations.count }
    let mostRows = groups.map(\.activations.count).max() ?? 0
    var rowRanges: [Range<Int>] = []
    for group in groups {
      let first = rowRanges.last?.upperBound ?? 0
      rowRanges.append(first..<first + group.activations.count)
    }
    func pieces(_ columnCounts: [Int]) -> (GroupPieces, grain: Int) {
      let grain = columnGrain(rowCount: mostRows, columnCounts: columnCounts)
      return (GroupPieces(columnCounts: columnCounts, grain: grain), grain)
    }

    let (inner, innerGrain) = pieces(groups.map(\.block.gate.outputSize))
    let innerWeights = groups.flatMap { [$0.block.gate, $0.block.up] }
    let inputs = prepare(first.activations.extended(to: rowCount), for: innerWeights, groups: rowRanges)
    let rowBlock = PieceHalves.rowsTogether(mostRows)
    let gateProducts = groups.enumerated().map {
      PreparedProduct($1.block.gate, inputs, group: $0, kernels: kernels)
    }
    let upProducts = groups.enumerated().map { PreparedProduct($1.block.up, inputs, group: $0, kernels: kernels) }
    let productScratch = (gateProducts + upProducts).map { $0.scratchByteCount(columnCount: innerGrain) }.max() ?? 0
    let halves = PieceHalves(
      count: rowBlock * innerGrain, productScratch: productScratch, upScratch: productScratch)
    forEachPiece(inner.count, scratchByteCount: halves.scratchByteCount) { piece, scratch in
      let (index, columns) = inner.piece(piece)
      let group = groups[index]
      let (gates, ups) = (halves.gates(scratch), halves.ups(scratch))
      for first in stride(from: 0, to: group.activations.count, by: rowBlock) {
        let rows = first..<min(group.activations.count, first + rowBlock)
        let firstRow = rowRanges[index].lowerBound
        let inputRows = firstRow + rows.lowerBound..<firstRow + rows.upperBound
        gateProducts[index].multiply(
          rows: inputRows, columns: columns, outputs: gates, outputStride: innerGrain, scratch: scratch,
          scratchHoldsWeights: first > 0)
        upProducts[index].multiply(
          rows: inputRows, columns: columns, outputs: ups, outputStride: innerGrain,
          scratch: halves.upScratch(scratch), scratchHoldsWeights: first > 0)
        for row in rows {
          let offset = (row - first) * innerGrain
          activation.apply(
            kernels, gate: gates + offset, up: ups + offset,
            outputs: group.activated.row(row) + columns.lowerBound * group.activated.type.byteCount,
            outputElement: group.activated.type.kernelElement, count: columns.count)
        }
      }
    }

    let (outer, outerGrain) = pieces(groups.map(\.block.down.outputSize))
    let outerWeights = groups.map(\.block.down)
    let activated = prepare(first.activated.extended(to: rowCount), for: outerWeights, groups: rowRanges)
    let products = groups.enumerated().map {
      PreparedProduct($1.block.down, activated, group: $0, kernels: kernels)
    }
    let outerScratch = products.map { $0.scratchByteCount(columnCount: outerGrain) }.max() ?? 0
    forEachPiece(outer.count, scratchByteCount: outerScratch) { piece, scratch in
      let (index, columns) = outer.piece(piece)
      let group = groups[index]
      products[index].multiply(
        rows: rowRanges[index], columns: columns,
        outputs: group.outputs.floats() + columns.lowerBound, outputStride: group.outputs.stride, scratch: scratch)
    }
  }
}

extension ActivationRows {
  /// The rows and those after them, `count` together.
  fileprivate func extended(to count: Int) -> ActivationRows {
    var rows = self
    rows.count = count
    return rows
  }
}
