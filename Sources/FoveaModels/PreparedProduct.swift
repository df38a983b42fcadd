internal import CFoveaKernels
internal import FoveaCore

/// A product of prepared activations with one matrix, ready to be computed piece by piece: addresses only, so that pieces
/// count no references. Valid while the weights and the inputs are.
struct PreparedProduct {
  /// How the kernels read the weights.
  private enum Form {
    case elements(fovea_linear_kernel?)
    /// With activations rounded to bytes.
    case codes(fovea_quantized_matrix, rounded: RoundedRows, groupSize: Int)
    /// Widened to float32 as they are needed.
    case widened(fovea_quantized_matrix)
    /// A copy of them, which meets activations in its own form.
    case packed(PackedMatrix, PackedInputs)
  }

  private let kernels: UnsafePointer<fovea_kernels>
  private let form: Form
  private let weights: KernelWeights
  private let activations: ActivationRows
  /// The group's rows in blocks, if weights are copied to panels before rows meet them.
  private let packedRows: UnsafeRawPointer?
  private let groupRows: Range<Int>

  /// Rows that are packed together; where products take a part of the rows, it begins with a block.
  static let rowsPerBlock = Int(FOVEA_ROW_BLOCK)

  private var depth: Int { weights.inputSize }

  /// - Parameter group: which of the inputs' groups will be multiplied.
  init(_ linear: LinearWeights, _ inputs: ProductInputs, group: Int = 0, kernels: UnsafePointer<fovea_kernels>) {
    self.kernels = kernels
    weights = linear.kernelWeights
    activations = inputs.activations
    groupRows = inputs.rows(ofGroup: group)
    if let packed = weights.packed, let rounded = inputs.roundedIntegers {
      packedRows = nil
      form = .packed(packed, rounded)
      return
    }
    packedRows = inputs.packedRows(ofGroup: group)
    guard let (matrix, codeForm) = weights.codes else {
      form = .elements(weights.kernel(kernels, activationType: activations.type.kernelElement))
      return
    }
    if let rounded = inputs.rounded(codeForm) {
      form = .codes(matrix, rounded: rounded, groupSize: codeForm.groupSize)
    } else {
      form = .widened(matrix)
    }
  }

  /// Columns of the widest panel of any instruction set.
  static let columnsPerPanel = 32

  /// The scratch of ``multiply(rows:columns:outputs:outputStride:accumulates:scratch:scratchHoldsWeights:)`` for pieces
  /// of at most `columnCount` columns, whole cache lines.
  func scratchByteCount(columnCount: Int) -> Int {
    switch form {
    case .elements: panelByteCount(columnCount)
    case .packed: 0
    case .codes: (fovea_quantized_scratch_byte_count(depth) + 63) / 64 * 64
    case .widened: panelByteCount(columnCount) + Self.columnsPerPanel * depth * MemoryLayout<Float>.stride
    }
  }

  private func panelByteCount(_ columnCount: Int) -> Int {
    packedRows == nil ? 0 : fovea_linear_panel_byte_count(columnCount, depth)
  }

  /// Columns `columns` of rows `rows` of inputs · weightsᵀ + bias, to `outputs`, where the first of both goes. The first
  /// column is a multiple of the weights' ``KernelWeights/columnAlignment``.
  ///
  /// - Parameter scratchHoldsWeights: whether the last call with this scratch was for the same columns.
  func multiply(
    rows: Range<Int>, columns: Range<Int>, outputs: UnsafeMutablePointer<Float>, outputStride: Int,
    accumulates: Bool = false, scratch: UnsafeMutableRawPointer, scratchHoldsWeights: Bool = false
  ) {
    var work = fovea_linear()
    work.activations = UnsafeRawPointer(activations.row(rows.lowerBound))
    work.activation_stride = activations.stride
    work.weight_stride = depth
    work.bias = weights.bias.map { $0 + columns.lowerBound }
    work.outputs = outputs
    work.output_stride = outputStride
    work.row_count = rows.count
    work.column_count = columns.count
    work.depth = depth
    work.accumulates = accumulates
    if let packedRows {
      let block = (rows.lowerBound - groupRows.lowerBound) / Self.rowsPerBlock
      work.packed_activations = packedRows + block * fovea_packed_rows_byte_count(Self.rowsPerBlock, depth)
      work.panels = scratch
      work.panels_hold_weights = scratchHoldsWeights
    }
    switch form {
    case .packed(let matrix, let inputs):
      matrix.multiply(
        kernels, inputs.rows(rows), columns: columns, outputs: outputs, outputStride: outputStride,
        accumulates: accumulates)
    case .elements(let kernel):
      if packedRows == nil { activations.rows(rows).fetchFew() }
      let columnByteCount = depth * weights.elementByteCount
      work.weights = UnsafeRawPointer(weights.base + columns.lowerBound * columnByteCount)
      if packedRows != nil, rows.upperBound == groupRows.upperBound {
        // Most often the thread goes on with the next columns.
        work.next = work.weights + columns.count * columnByteCount
        work.next_byte_count = min(columns.count, weights.outputSize - columns.upperBound) * columnByteCount
      }
      kernel?(&work)
    case .widened(let matrix):
      multiplyWidened(work, matrix.rows(from: columns.lowerBound), scratch: scratch)
    case .codes(let matrix, let rounded, let groupSize):
      let rounded = rounded.from(rows.lowerBound, depth: depth, groupSize: groupSize)
      if activations.rows(rows).areFew { rounded.fetch(rows.count, depth: depth, groupSize: groupSize) }
      var work = fovea_quantized_linear(
        codes: UnsafePointer(rounded.codes), scales: UnsafePointer(rounded.scales), sums: UnsafePointer(rounded.sums),
        weights: matrix.rows(from: columns.lowerBound), bias: work.bias, outputs: outputs,
        output_stride: outputStride, row_count: rows.count, column_count: columns.count, depth: depth,
        accumulates: accumulates, scratch: scratch)
      kernels.pointee.quantized_linear(&work)
    }
  }

  /// The product of `whole`, which lacks the weights, with `matrix`, a few of whose rows are widened at a time.
  private func multiplyWidened(
    _ whole: fovea_linear, _ matrix: fovea_quantized_matrix, scratch: UnsafeMutableRawPointer
  ) {
    let widened = (scratch + panelByteCount(whole.column_count)).assumingMemoryBound(to: Float.self)
    // Columns past the last whole panel are not in the panels.
    let isHeld = whole.panels_hold_weights && whole.column_count.isMultiple(of: Self.columnsPerPanel)
    var work = whole
    work.weights = UnsafeRawPointer(widened)
    for offset in stride(from: 0, to: whole.column_count, by: Self.columnsPerPanel) {
      work.column_count = min(Self.columnsPerPanel, whole.column_count - offset)
      if !isHeld {
        var part = matrix.rows(from: offset)
        for row in 0..<work.column_count { fovea_dequantize_row(&part, row, depth, widened + row * depth) }
      }
      work.bias = whole.bias.map { $0 + offset }
      work.outputs = whole.outputs + offset
      if packedRows != nil { work.panels = scratch + panelByteCount(offset) }
      kernels.pointee.linear.0.0?(&work)
    }
  }
}

extension fovea_quantized_matrix {
  /// The rows from `row` on.
  fileprivate func rows(from row: Int) -> fovea_quantized_matrix {
    var part = self
    part.codes += row * code_stride
    let width = kind == FOVEA_MXFP4 ? 1 : scale_element == FOVEA_FLOAT32 ? 4 : 2
    part.scales += row * scale_stride * width
    if let biases { part.biases = biases + row * scale_stride * width }
    return part
  }
}
