internal import CFoveaKernels
internal import FoveaCore

extension ComputeStream {
  /// outputs = function(activations · gateᵀ) ⊙ (activations · upᵀ), or without `up` the function alone, as one phase, and
  /// what products with `next` read of it.
  ///
  /// Where those read blocks, the results go straight there: `outputs` has their memory, of at least
  /// ``PackedRows/byteCount(rowCount:depth:)``, and no rows then.
  func multiplyGated(
    _ activations: ActivationRows, gate: LinearWeights, up: LinearWeights?, activation: Activation,
    into outputs: ActivationRows, for next: LinearWeights
  ) -> ProductInputs {
    let kernels = kernelTable
    let inputs = up.map { prepare(activations, for: [gate, $0]) } ?? prepare(activations, for: [gate])
    let product = PreparedProduct(gate, inputs, kernels: kernels)
    let upProduct = up.map { PreparedProduct($0, inputs, kernels: kernels) }
    let blocks = PackedRows(outputs, for: next, kernels: kernels)
    let cut = ColumnCut(
      columnCount: gate.outputSize, rowCount: activations.count, threadCount: threadCount,
      alignment: max(gate.kernelWeights.columnAlignment, up?.kernelWeights.columnAlignment ?? 0))
    let rowBlock = PieceHalves.rowsTogether(activations.count)
    let halves = PieceHalves(
      count: rowBlock * cut.longest, productScratch: product.scratchByteCount(columnCount: cut.longest),
      upScratch: upProduct?.scratchByteCount(columnCount: cut.longest))
    let (element, width) = (outputs.type.kernelElement, outputs.type.byteCount)
    forEachPiece(of: cut, scratchByteCount: halves.scratchByteCount) { allRows, columns, scratch in
      let gates = halves.gates(scratch)
      let ups = upProduct.map { _ in halves.ups(scratch) }
      for first in stride(from: allRows.lowerBound, to: allRows.upperBound, by: rowBlock) {
        let rows = first..<min(allRows.upperBound, first + rowBlock)
        let holdsWeights = first > allRows.lowerBound
        product.multiply(
          rows: rows, columns: columns, outputs: gates, outputStride: columns.count, scratch: scratch,
          scratchHoldsWeights: holdsWeights)
        if let ups {
          upProduct?.multiply(
            rows: rows, columns: columns, outputs: ups, outputStride: columns.count, scratch: halves.upScratch(scratch),
            scratchHoldsWeights: holdsWeights)
        }
        if let blocks {
          activation.apply(
            kernels, gate: gates, up: ups, outputs: gates, outputElement: element, count: rows.count * columns.count)
          blocks.write(gates, rows: rows, columns: columns)
          continue
        }
        for row in rows {
          let offset = (row - first) * columns.count
          activation.apply(
            kernels, gate: gates + offset, up: ups.map { $0 + offset },
            outputs: outputs.row(row) + columns.lowerBound * width, outputElement: element, count: columns.count)
        }
      }
    }
    withExtendedLifetime((gate, up)) {}
    return blocks.map { ProductInputs($0) } ?? prepare(outputs, for: CollectionOfOne(next))
  }
}

/// How a piece of a gated block divides its scratch: that of each product, then the results of both, or all of one.
struct PieceHalves {
  private let productScratch: Int
  private let upScratch: Int?
  private let count: Int

  /// How many of `rowCount` rows go together, so that both halves stay in the second-level cache until they meet: whole
  /// blocks of packed rows, at most 120, and never a few at the end.
  static func rowsTogether(_ rowCount: Int) -> Int {
    let block = PreparedProduct.rowsPerBlock
    let runCount = (rowCount + 10 * block - 1) / (10 * block)
    return max(1, min(rowCount, (rowCount + runCount * block - 1) / max(1, runCount * block) * block))
  }

  /// - Parameters:
  ///   - count: the elements of each half.
  ///   - productScratch: the bytes of scratch of the first product.
  ///   - upScratch: those of the second; nil without one.
  init(count: Int, productScratch: Int, upScratch: Int?) {
    self.count = count
    self.productScratch = productScratch
    self.upScratch = upScratch
  }

  var scratchByteCount: Int {
    productScratch + (upScratch ?? 0) + (upScratch == nil ? 1 : 2) * count * MemoryLayout<Float>.stride
  }

  func upScratch(_ scratch: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer { scratch + productScratch }

  func gates(_ scratch: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Float> {
    (scratch + productScratch + (upScratch ?? 0)).assumingMemoryBound(to: Float.self)
  }

  func ups(_ scratch: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Float> { gates(scratch) + count }
}
