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
    func pieces(_ weights: [LinearWeights]) -> GroupPieces {
      GroupPieces(weights, rowCount: mostRows, threadCount: threadCount)
    }

    let inner = pieces(groups.map(\.block.gate))
    let innerGrain = inner.cut.longest
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
    forEachPiece(of: inner.cut, scratchByteCount: halves.scratchByteCount) { allRows, columns, scratch in
      let (gates, ups) = (halves.gates(scratch), halves.ups(scratch))
      inner.forEachPart(of: columns) { index, columns in
        let group = groups[index]
        let end = min(group.activations.count, allRows.upperBound)
        for first in stride(from: allRows.lowerBound, to: end, by: rowBlock) {
          let rows = first..<min(end, first + rowBlock)
          let holdsWeights = first > allRows.lowerBound
          let firstRow = rowRanges[index].lowerBound
          let inputRows = firstRow + rows.lowerBound..<firstRow + rows.upperBound
          gateProducts[index].multiply(
            rows: inputRows, columns: columns, outputs: gates, outputStride: innerGrain, scratch: scratch,
            scratchHoldsWeights: holdsWeights)
          upProducts[index].multiply(
            rows: inputRows, columns: columns, outputs: ups, outputStride: innerGrain,
            scratch: halves.upScratch(scratch), scratchHoldsWeights: holdsWeights)
          for row in rows {
            let offset = (row - first) * innerGrain
            activation.apply(
              kernels, gate: gates + offset, up: ups + offset,
              outputs: group.activated.row(row) + columns.lowerBound * group.activated.type.byteCount,
              outputElement: group.activated.type.kernelElement, count: columns.count)
          }
        }
      }
    }

    let outerWeights = groups.map(\.block.down)
    let outer = pieces(outerWeights)
    let activated = prepare(first.activated.extended(to: rowCount), for: outerWeights, groups: rowRanges)
    let products = groups.enumerated().map {
      PreparedProduct($1.block.down, activated, group: $0, kernels: kernels)
    }
    let outerScratch = products.map { $0.scratchByteCount(columnCount: outer.cut.longest) }.max() ?? 0
    forEachPiece(of: outer.cut, scratchByteCount: outerScratch) { allRows, columns, scratch in
      outer.forEachPart(of: columns) { index, columns in
        let group = groups[index]
        let rows = allRows.clamped(to: 0..<group.activations.count)
        let firstRow = rowRanges[index].lowerBound
        guard !rows.isEmpty else { return }
        products[index].multiply(
          rows: firstRow + rows.lowerBound..<firstRow + rows.upperBound, columns: columns,
          outputs: group.outputs.floats(rows.lowerBound) + columns.lowerBound, outputStride: group.outputs.stride,
          scratch: scratch)
      }
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
