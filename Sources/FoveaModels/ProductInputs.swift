internal import CFoveaKernels
internal import FoveaCore

/// Rows of activations rounded to bytes: codes, the scale of each block, the sum of each group.
struct RoundedRows {
  fileprivate let codes: UnsafeMutablePointer<Int8>
  fileprivate let scales: UnsafeMutablePointer<Float>
  fileprivate let sums: UnsafeMutablePointer<Float>
}

/// Rows of activations in the forms in which the products of one phase read them.
struct ProductInputs {
  /// The rows themselves.
  let activations: ActivationRows
  /// Empty where weights meet activations in float32.
  fileprivate var rounded: [(form: CodeForm, rows: RoundedRows)] = []

  fileprivate init(activations: ActivationRows) { self.activations = activations }

  /// The rounded rows of that form, if there are any.
  fileprivate func rounded(_ form: CodeForm) -> RoundedRows? { rounded.first { $0.form == form }?.rows }
}

/// What rounded activations depend on in the weights that they meet.
struct CodeForm: Equatable {
  /// 4, or 8 for all other widths.
  let bits: Int
  let groupSize: Int

  init(_ scheme: QuantizationScheme) {
    bits = scheme.bits == 4 ? 4 : 8
    groupSize = scheme.groupSize
  }

  /// How `rowCount` rows of `depth` values lie in memory from byte `begin` on, each part in cache lines of its own.
  fileprivate func layout(
    rowCount: Int, depth: Int, from begin: Int
  ) -> (scales: Int, sums: Int, end: Int) {
    func lines(_ byteCount: Int) -> Int { (byteCount * rowCount + 63) / 64 * 64 }
    let scales = begin + lines(fovea_code_stride(depth))
    let sums = scales + lines(depth / Int(FOVEA_CODE_BLOCK) * MemoryLayout<Float>.stride)
    return (scales, sums, sums + lines(depth / groupSize * MemoryLayout<Float>.stride))
  }
}

extension ComputeStream {
  /// Prepares rows of activations for products with `weights`, which all have the same depth. What quantised weights
  /// take lies in the stream's shared scratch until the next call.
  func prepare(_ activations: ActivationRows, for weights: some Sequence<LinearWeights>) -> ProductInputs {
    var inputs = ProductInputs(activations: activations)
    guard activations.roundsToCodes else { return inputs }
    let rowCount = activations.count
    var depth = 0
    var forms: [CodeForm] = []
    for linear in weights {
      guard let form = linear.kernelWeights.codes?.form, !forms.contains(form) else { continue }
      depth = linear.inputSize
      forms.append(form)
    }
    guard !forms.isEmpty else { return inputs }
    var byteCount = 0
    for form in forms { byteCount = form.layout(rowCount: rowCount, depth: depth, from: byteCount).end }
    let memory = sharedScratch(byteCount: byteCount)
    var begin = 0
    for form in forms {
      let layout = form.layout(rowCount: rowCount, depth: depth, from: begin)
      let rows = RoundedRows(
        codes: (memory + begin).assumingMemoryBound(to: Int8.self),
        scales: (memory + layout.scales).assumingMemoryBound(to: Float.self),
        sums: (memory + layout.sums).assumingMemoryBound(to: Float.self))
      inputs.rounded.append((form, rows))
      begin = layout.end
    }
    let kernels = kernelTable
    let rounded = inputs.rounded
    func round(_ rows: Range<Int>) {
      for (form, target) in rounded {
        let first = rows.lowerBound
        var work = fovea_activation_codes(
          inputs: UnsafeRawPointer(activations.row(first)), input_stride: activations.stride,
          input_element: activations.type.kernelElement, row_count: rows.count, depth: depth,
          group_size: form.groupSize, bits: UInt32(form.bits),
          codes: target.codes + first * fovea_code_stride(depth),
          scales: target.scales + first * (depth / Int(FOVEA_CODE_BLOCK)),
          sums: target.sums + first * (depth / form.groupSize))
        kernels.pointee.activation_codes(&work)
      }
    }
    // A few rows take less time than a barrier.
    if rowCount < 4 { round(0..<rowCount) } else { forEachRange(rowCount, grain: 8, round) }
    return inputs
  }
}

/// A product of prepared activations with one matrix, ready to be computed piece by piece: addresses only, so that pieces
/// count no references. Valid while the weights and the inputs are.
struct PreparedProduct {
  /// How the kernels read the weights.
  private enum Form {
    case elements(fovea_linear_kernel?, width: Int)
    /// With activations rounded to bytes.
    case codes(fovea_quantized_matrix, rounded: RoundedRows, groupSize: Int)
    /// Widened to float32 as they are needed.
    case widened(fovea_quantized_matrix)
  }

  private let kernels: UnsafePointer<fovea_kernels>
  private let form: Form
  private let weights: UnsafeMutableRawPointer
  private let bias: UnsafePointer<Float>?
  private let activations: ActivationRows
  private let depth: Int
  /// Whether weights are copied to panels before rows meet them.
  private let usesPanels: Bool
  /// The columns of the result.
  let columnCount: Int

  /// From so many rows on a copy of the weights costs less than reading them as they lie, measured: the wider the
  /// weights, the earlier they crowd the first-level cache.
  private static func leastPanelRows(weightByteCount: Int) -> Int { weightByteCount == 4 ? 16 : 64 }

  /// - Parameter rowCount: the rows that will be multiplied; all of the inputs unless given.
  init(
    _ linear: LinearWeights, _ inputs: ProductInputs, rowCount: Int? = nil, kernels: UnsafePointer<fovea_kernels>
  ) {
    let stored = linear.kernelWeights
    self.kernels = kernels
    weights = stored.base
    bias = stored.bias
    activations = inputs.activations
    depth = stored.inputSize
    columnCount = stored.outputSize
    // Codes that do not meet rounded activations are widened first.
    let weightByteCount = stored.codes == nil ? stored.elementByteCount : MemoryLayout<Float>.stride
    usesPanels = (rowCount ?? inputs.activations.count) >= Self.leastPanelRows(weightByteCount: weightByteCount)
    guard let (matrix, codeForm) = stored.codes else {
      form = .elements(
        stored.kernel(kernels, activationType: activations.type.kernelElement), width: stored.elementByteCount)
      return
    }
    if let rounded = inputs.rounded(codeForm) {
      form = .codes(matrix, rounded: rounded, groupSize: codeForm.groupSize)
    } else {
      form = .widened(matrix)
    }
  }

  /// Rows of quantised weights that are widened at once.
  private static let widenedRowCount = 16

  /// The scratch of ``multiply(rows:columns:outputs:outputStride:accumulates:scratch:scratchHoldsWeights:)`` for pieces
  /// of at most `columnCount` columns, whole cache lines.
  func scratchByteCount(columnCount: Int) -> Int {
    switch form {
    case .elements: panelByteCount(columnCount)
    case .codes: (fovea_quantized_scratch_byte_count(depth) + 63) / 64 * 64
    case .widened: panelByteCount(columnCount) + Self.widenedRowCount * depth * MemoryLayout<Float>.stride
    }
  }

  private func panelByteCount(_ columnCount: Int) -> Int {
    usesPanels ? fovea_linear_panel_byte_count(columnCount, depth) : 0
  }

  /// Columns `columns` of rows `rows` of inputs · weightsᵀ + bias, to `outputs`, where the first of both goes.
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
    work.bias = bias.map { $0 + columns.lowerBound }
    work.outputs = outputs
    work.output_stride = outputStride
    work.row_count = rows.count
    work.column_count = columns.count
    work.depth = depth
    work.accumulates = accumulates
    work.panels = usesPanels ? scratch : nil
    work.panels_hold_weights = scratchHoldsWeights
    switch form {
    case .elements(let kernel, let width):
      work.weights = UnsafeRawPointer(weights + columns.lowerBound * depth * width)
      kernel?(&work)
    case .widened(let matrix):
      multiplyWidened(work, matrix.rows(from: columns.lowerBound), scratch: scratch)
    case .codes(let matrix, let rounded, let groupSize):
      let first = rows.lowerBound
      var work = fovea_quantized_linear(
        codes: UnsafePointer(rounded.codes + first * fovea_code_stride(depth)),
        scales: UnsafePointer(rounded.scales + first * (depth / Int(FOVEA_CODE_BLOCK))),
        sums: UnsafePointer(rounded.sums + first * (depth / groupSize)),
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
    // Columns past the last whole tile are not in the panels.
    let isHeld =
      usesPanels && whole.panels_hold_weights && whole.column_count.isMultiple(of: Self.widenedRowCount)
    var work = whole
    work.weights = UnsafeRawPointer(widened)
    for offset in stride(from: 0, to: whole.column_count, by: Self.widenedRowCount) {
      work.column_count = min(Self.widenedRowCount, whole.column_count - offset)
      if !isHeld {
        var part = matrix.rows(from: offset)
        for row in 0..<work.column_count { fovea_dequantize_row(&part, row, depth, widened + row * depth) }
      }
      work.bias = whole.bias.map { $0 + offset }
      work.outputs = whole.outputs + offset
      if usesPanels { work.panels = scratch + panelByteCount(offset) }
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
