internal import CFoveaKernels
internal import FoveaCore

/// A matrix `[outputSize, inputSize]` as it lies in the checkpoint, with its bias.
struct LinearWeights: Sendable {
  let weight: Tensor
  /// `[outputSize]` float32, or nil.
  let bias: Tensor?

  var outputSize: Int { weight.shape[0] }
  var inputSize: Int { weight.shape[1] }

  /// The product kernel for activations of that type; nil if the tables have none for the pair.
  func kernel(_ kernels: fovea_kernels, activationType: fovea_element) -> fovea_linear_kernel? {
    let rows = activationType == FOVEA_BFLOAT16 ? kernels.linear.2 : kernels.linear.0
    switch weight.elementType.kernelElement {
    case FOVEA_FLOAT16: return rows.1
    case FOVEA_BFLOAT16: return rows.2
    default: return rows.0
    }
  }

  /// The work of columns `columns` for rows `rows`; the kernel's outputs start at the first of both.
  func work(
    _ activations: ActivationRows, rows: Range<Int>, columns: Range<Int>, outputs: UnsafeMutablePointer<Float>,
    outputStride: Int, accumulates: Bool
  ) -> fovea_linear {
    let width = weight.elementType.byteCount
    return fovea_linear(
      activations: UnsafeRawPointer(activations.row(rows.lowerBound)), activation_stride: activations.stride,
      weights: UnsafeRawPointer(weight.baseAddress + columns.lowerBound * inputSize * width),
      weight_stride: inputSize,
      bias: bias.map { UnsafePointer($0.baseAddress.assumingMemoryBound(to: Float.self)) + columns.lowerBound },
      outputs: outputs, output_stride: outputStride, row_count: rows.count, column_count: columns.count,
      depth: inputSize, accumulates: accumulates)
  }
}

/// Rows of activations of one type in memory that a ``Workspace`` owns.
struct ActivationRows {
  var base: UnsafeMutableRawPointer
  var type: ElementType
  /// Elements from one row to the next.
  var stride: Int
  var count: Int

  func row(_ index: Int) -> UnsafeMutableRawPointer { base + index * stride * type.byteCount }

  /// The rows as float32, which they must be.
  func floats(_ index: Int = 0) -> UnsafeMutablePointer<Float> { row(index).assumingMemoryBound(to: Float.self) }
}

/// A product of a phase and where its float32 results go: `[rows, outputSize]`.
struct LinearProduct {
  var weights: LinearWeights
  var outputs: UnsafeMutablePointer<Float>
  var outputStride: Int
}

extension ComputeStream {
  /// Columns of one piece of a matrix product. One row: two pieces a thread, since weights come fastest in long runs (4
  /// to 16 were up to a fifth slower); many rows: 64, so that a piece's weights stay in the first-level caches while the
  /// rows go by.
  func columnGrain(rowCount: Int, columnCount: Int) -> Int {
    guard rowCount < 16 else { return 64 }
    let share = columnCount / (2 * threadCount)
    return max(16, (share + 15) / 16 * 16)
  }

  /// outputs = activations · weightsᵀ + bias for several products of the same activations, as one phase.
  func multiply(_ activations: ActivationRows, _ products: [LinearProduct], accumulates: Bool = false) {
    let kernels = self.kernels
    let columnCount = products.reduce(0) { $0 + $1.weights.outputSize }
    let grain = columnGrain(rowCount: activations.count, columnCount: columnCount)
    let pieceCounts = products.map { ($0.weights.outputSize + grain - 1) / grain }
    forEachPiece(pieceCounts.reduce(0, +)) { piece, _ in
      var index = piece
      var product = 0
      while index >= pieceCounts[product] {
        index -= pieceCounts[product]
        product += 1
      }
      let target = products[product]
      let columns = index * grain..<min(target.weights.outputSize, (index + 1) * grain)
      var work = target.weights.work(
        activations, rows: 0..<activations.count, columns: columns, outputs: target.outputs + columns.lowerBound,
        outputStride: target.outputStride, accumulates: accumulates)
      target.weights.kernel(kernels, activationType: activations.type.kernelElement)?(&work)
    }
  }

  /// outputs = function(activations · gateᵀ) · (activations · upᵀ), converted to the type of `outputs`, as one phase.
  func multiplyGated(
    _ activations: ActivationRows, gate: LinearWeights, up: LinearWeights, activation: Activation = .silu,
    into outputs: ActivationRows
  ) {
    let kernels = self.kernels
    let grain = min(64, columnGrain(rowCount: activations.count, columnCount: 2 * gate.outputSize))
    // Both halves of a block of rows stay in the second-level cache until they meet.
    let rowBlock = 128
    let halfCount = min(rowBlock, activations.count) * grain
    let pieceCount = (gate.outputSize + grain - 1) / grain
    forEachPiece(pieceCount, scratchByteCount: 2 * halfCount * MemoryLayout<Float>.stride) { piece, scratch in
      let columns = piece * grain..<min(gate.outputSize, (piece + 1) * grain)
      let halves = scratch.assumingMemoryBound(to: Float.self)
      for first in stride(from: 0, to: activations.count, by: rowBlock) {
        let rows = first..<min(activations.count, first + rowBlock)
        for (weights, half) in [(gate, halves), (up, halves + halfCount)] {
          var work = weights.work(
            activations, rows: rows, columns: columns, outputs: half, outputStride: grain, accumulates: false)
          weights.kernel(kernels, activationType: activations.type.kernelElement)?(&work)
        }
        for row in rows {
          let offset = (row - first) * grain
          activation.apply(
            kernels, gate: halves + offset, up: halves + halfCount + offset,
            outputs: outputs.row(row) + columns.lowerBound * outputs.type.byteCount,
            outputElement: outputs.type.kernelElement, count: columns.count)
        }
      }
    }
  }
}
