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
  /// Runs of rows that meet the same weights.
  let groups: [Range<Int>]
  /// Empty where weights meet activations in float32.
  fileprivate var rounded: [(form: CodeForm, rows: RoundedRows)] = []
  /// Each group in the kernels' blocks; nil where few rows are read as they lie.
  fileprivate var packed: [UnsafeRawPointer?]

  fileprivate init(activations: ActivationRows, groups: [Range<Int>]) {
    self.activations = activations
    self.groups = groups
    packed = groups.map { _ in nil }
  }

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
  /// Prepares rows of activations for products with `weights`, which all have the same depth. What is made of them lies
  /// in the stream's shared scratch until the next call.
  ///
  /// - Parameter groups: the runs of rows that meet the same weights; nil for one of all rows.
  func prepare(
    _ activations: ActivationRows, for weights: some Sequence<LinearWeights>, groups: [Range<Int>]? = nil
  ) -> ProductInputs {
    var inputs = ProductInputs(activations: activations, groups: groups ?? [0..<activations.count])
    var depth = 0
    var forms: [CodeForm] = []
    var leastPackedRows = Int.max
    for linear in weights {
      depth = linear.inputSize
      if activations.roundsToCodes, let form = linear.kernelWeights.codes?.form {
        if !forms.contains(form) { forms.append(form) }
      } else {
        leastPackedRows = min(leastPackedRows, PreparedProduct.leastPackedRows(linear.kernelWeights))
      }
    }
    let pack = kernelTable.pointee.packRows(activations.type)
    let packedGroups = pack == nil ? [] : inputs.groups.indices.filter { inputs.groups[$0].count >= leastPackedRows }
    guard !forms.isEmpty || !packedGroups.isEmpty else { return inputs }

    let rowCount = activations.count
    var byteCount = 0
    for form in forms { byteCount = form.layout(rowCount: rowCount, depth: depth, from: byteCount).end }
    let packedByteCount = packedGroups.reduce(0) {
      $0 + fovea_packed_rows_byte_count(inputs.groups[$1].count, depth)
    }
    let memory = sharedScratch(byteCount: byteCount + packedByteCount)
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
    if !forms.isEmpty { round(activations, depth: depth, to: inputs.rounded) }
    guard let pack else { return inputs }
    let pieces = GroupPieces(
      columnCounts: packedGroups.map { inputs.groups[$0].count }, grain: PreparedProduct.rowsPerBlock)
    let blockByteCount = fovea_packed_rows_byte_count(PreparedProduct.rowsPerBlock, depth)
    // A group's blocks are numbered through, as its pieces are.
    let packed = memory + byteCount
    var blockCount = 0
    for group in packedGroups {
      inputs.packed[group] = UnsafeRawPointer(packed + blockCount * blockByteCount)
      blockCount += (inputs.groups[group].count + PreparedProduct.rowsPerBlock - 1) / PreparedProduct.rowsPerBlock
    }
    let groups = inputs.groups
    forEachPiece(pieces.count) { piece, _ in
      let (index, rows) = pieces.piece(piece)
      let first = groups[packedGroups[index]].lowerBound + rows.lowerBound
      var work = fovea_row_pack(
        rows: UnsafeRawPointer(activations.row(first)), stride: activations.stride, row_count: rows.count,
        depth: depth, packed: packed + piece * blockByteCount)
      pack(&work)
    }
    return inputs
  }

  private func round(
    _ activations: ActivationRows, depth: Int, to rounded: [(form: CodeForm, rows: RoundedRows)]
  ) {
    let kernels = kernelTable
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
    if activations.count < 4 { round(0..<activations.count) } else { forEachRange(activations.count, grain: 8, round) }
  }
}

extension fovea_kernels {
  fileprivate func packRows(_ type: ElementType) -> fovea_row_pack_kernel? {
    switch type {
    case .float32: pack_rows.0
    case .bfloat16: pack_rows.2
    default: nil
    }
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
  /// The group's rows in blocks, if weights are copied to panels before rows meet them.
  private let packedRows: UnsafeRawPointer?
  private let groupRows: Range<Int>
  private let depth: Int
  /// The columns of the result.
  let columnCount: Int

  /// Rows that are packed together; where products take a part of the rows, it begins with a block.
  static let rowsPerBlock = Int(FOVEA_ROW_BLOCK)

  /// From so many rows on a copy of the weights costs less than reading them as they lie, measured: the wider and longer
  /// the weights' rows, the earlier they crowd the first-level cache. Codes that do not meet rounded activations are
  /// widened.
  static func leastPackedRows(_ weights: KernelWeights) -> Int {
    if weights.codes != nil || weights.elementByteCount == 4 { return 16 }
    return weights.inputSize >= 1024 ? 24 : 48
  }

  /// - Parameter group: which of the inputs' groups will be multiplied.
  init(_ linear: LinearWeights, _ inputs: ProductInputs, group: Int = 0, kernels: UnsafePointer<fovea_kernels>) {
    let stored = linear.kernelWeights
    self.kernels = kernels
    weights = stored.base
    bias = stored.bias
    activations = inputs.activations
    depth = stored.inputSize
    columnCount = stored.outputSize
    groupRows = inputs.groups[group]
    packedRows = groupRows.count >= Self.leastPackedRows(stored) ? inputs.packed[group] : nil
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

  /// Rows of quantised weights that are widened at once: whole panels.
  private static let widenedRowCount = 32

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
    packedRows == nil ? 0 : fovea_linear_panel_byte_count(columnCount, depth)
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
    if let packedRows {
      let block = (rows.lowerBound - groupRows.lowerBound) / Self.rowsPerBlock
      work.packed_activations = packedRows + block * fovea_packed_rows_byte_count(Self.rowsPerBlock, depth)
      work.panels = scratch
      work.panels_hold_weights = scratchHoldsWeights
    }
    switch form {
    case .elements(let kernel, let width):
      work.weights = UnsafeRawPointer(weights + columns.lowerBound * depth * width)
      if rows.upperBound == groupRows.upperBound {
        // Most often the thread goes on with the next columns.
        work.next = work.weights + columns.count * depth * width
        work.next_byte_count = min(columns.count, columnCount - columns.upperBound) * depth * width
      }
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
      packedRows != nil && whole.panels_hold_weights && whole.column_count.isMultiple(of: Self.widenedRowCount)
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
