internal import CFoveaKernels
internal import FoveaCore

/// Rows of activations rounded to bytes: codes, the scale of each block, the sum of each group.
struct RoundedRows {
  let codes: UnsafeMutablePointer<Int8>
  let scales: UnsafeMutablePointer<Float>
  let sums: UnsafeMutablePointer<Float>

  /// The rows from `row` on, of `depth` values in groups of `groupSize`.
  func from(_ row: Int, depth: Int, groupSize: Int) -> RoundedRows {
    RoundedRows(
      codes: codes + row * fovea_code_stride(depth), scales: scales + row * (depth / Int(FOVEA_CODE_BLOCK)),
      sums: sums + row * (depth / groupSize))
  }

  /// Asks for few rows, the first `count`, all at once, which another thread may have written.
  func fetch(_ count: Int, depth: Int, groupSize: Int) {
    let end = from(count, depth: depth, groupSize: groupSize)
    fovea_fetch(codes, end.codes - codes)
    fovea_fetch(scales, (end.scales - scales) * MemoryLayout<Float>.stride)
    fovea_fetch(sums, (end.sums - sums) * MemoryLayout<Float>.stride)
  }
}

/// Rows of activations in the forms in which the products of one phase read them.
struct ProductInputs {
  /// The rows themselves.
  let activations: ActivationRows
  /// Runs of rows that meet the same weights; nil for one of all rows.
  private let groups: [Range<Int>]?
  /// Empty where weights meet activations in float32.
  fileprivate var rounded = FewValues<(form: CodeForm, rows: RoundedRows)>()
  /// Rounded to integers of 16 bits, if there are weights that meet such.
  fileprivate(set) var roundedIntegers: PackedInputs?
  /// Each group in the kernels' blocks, nil where few rows are read as they lie; empty if all are.
  fileprivate var packed: [UnsafeRawPointer?] = []

  fileprivate init(activations: ActivationRows, groups: [Range<Int>]?) {
    self.activations = activations
    self.groups = groups
  }

  /// Rows that are nowhere but in blocks.
  init(_ blocks: PackedRows) {
    activations = blocks.rows
    groups = nil
    packed = [UnsafeRawPointer(blocks.rows.base)]
  }

  func rows(ofGroup group: Int) -> Range<Int> { groups?[group] ?? 0..<activations.count }

  func packedRows(ofGroup group: Int) -> UnsafeRawPointer? { packed.isEmpty ? nil : packed[group] }

  /// The rounded rows of that form, if there are any.
  func rounded(_ form: CodeForm) -> RoundedRows? { rounded.first { $0.form == form }?.rows }
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
    var inputs = ProductInputs(activations: activations, groups: groups)
    var depth = 0
    var forms = FewValues<CodeForm>()
    var leastPackedRows = Int.max
    var packedForm: PackedForm?
    for linear in weights {
      depth = linear.inputSize
      if let packed = linear.kernelWeights.packed {
        packedForm = packed.form
      } else if let form = activations.roundedForm(for: linear) {
        if !forms.contains(form) { forms.append(form) }
      } else {
        leastPackedRows = min(leastPackedRows, linear.kernelWeights.leastPackedRows(kernelTable))
      }
    }
    let pack = activations.count < leastPackedRows ? nil : kernelTable.pointee.rowPacking(activations.type)
    guard !forms.isEmpty || pack != nil || packedForm != nil else { return inputs }

    let rowCount = activations.count
    var byteCount = 0
    for form in forms { byteCount = form.layout(rowCount: rowCount, depth: depth, from: byteCount).end }
    let packedGroups = PackedGroups(
      pack == nil ? [] : groups ?? [0..<rowCount], leastRows: leastPackedRows, depth: depth)
    let packedEnd = byteCount + packedGroups.byteCount
    let integerByteCount = packedForm?.inputByteCount(rowCount: rowCount, depth: depth) ?? 0
    let memory = sharedScratch(byteCount: packedEnd + integerByteCount)
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
    if let packedForm {
      inputs.roundedIntegers = round(activations, depth: depth, to: packedForm, memory: memory + packedEnd)
    }
    if !forms.isEmpty { round(activations, depth: depth, to: inputs.rounded) }
    if let pack {
      let packed = memory + byteCount
      inputs.packed = packedGroups.offsets.map { offset in offset.map { UnsafeRawPointer(packed + $0) } }
      forEachPiece(packedGroups.blocks.count) { block, _ in
        let rows = packedGroups.blocks[block]
        var work = fovea_row_pack(
          rows: UnsafeRawPointer(activations.row(rows.lowerBound)), stride: activations.stride, row_count: rows.count,
          first: 0, column_count: depth, depth: depth, packed: packed + block * packedGroups.blockByteCount)
        pack(&work)
      }
    }
    return inputs
  }

  private func round(
    _ activations: ActivationRows, depth: Int, to rounded: FewValues<(form: CodeForm, rows: RoundedRows)>
  ) {
    let kernels = kernelTable
    func round(_ rows: Range<Int>) {
      for (form, target) in rounded {
        let target = target.from(rows.lowerBound, depth: depth, groupSize: form.groupSize)
        var work = fovea_activation_codes(
          inputs: UnsafeRawPointer(activations.row(rows.lowerBound)), input_stride: activations.stride,
          input_element: activations.type.kernelElement, row_count: rows.count, depth: depth,
          group_size: form.groupSize, bits: UInt32(form.bits), codes: target.codes, scales: target.scales,
          sums: target.sums)
        kernels.pointee.activation_codes(&work)
      }
    }
    activations.fetchFew()
    if activations.areFew { round(0..<activations.count) } else { forEachRange(activations.count, grain: 8, round) }
  }
}

/// Rows that a phase leaves in the kernels' blocks, a part of the columns at a time: the products of the next phase find
/// them ready, and nobody reads them as rows.
struct PackedRows {
  /// Where the blocks lie, and what the rows would be.
  let rows: ActivationRows
  private let depth: Int
  private let pack: fovea_row_pack_kernel

  /// Nil where products with `weights` read rows as they lie, or rounded. The memory of `rows` must have
  /// ``byteCount(rowCount:depth:)``.
  init?(_ rows: ActivationRows, for weights: LinearWeights, kernels: UnsafePointer<fovea_kernels>) {
    // Columns past the last whole panel are read as they lie.
    guard rows.roundedForm(for: weights) == nil, weights.packed == nil,
      rows.count >= weights.kernelWeights.leastPackedRows(kernels),
      weights.outputSize.isMultiple(of: PreparedProduct.columnsPerPanel),
      let pack = kernels.pointee.rowPacking(rows.type)
    else { return nil }
    self.rows = rows
    depth = weights.inputSize
    self.pack = pack
  }

  static func byteCount(rowCount: Int, depth: Int) -> Int { fovea_packed_rows_byte_count(rowCount, depth) }

  /// Takes the values of some rows and columns, which `source` holds row after row without gaps. Rows begin with a block,
  /// columns at a multiple of ``PreparedProduct/columnsPerPanel``, and both end so or with the last.
  func write(_ source: UnsafeRawPointer, rows range: Range<Int>, columns: Range<Int>) {
    var work = fovea_row_pack(
      rows: source, stride: columns.count, row_count: range.count, first: columns.lowerBound,
      column_count: columns.count, depth: depth,
      packed: rows.base + fovea_packed_rows_byte_count(range.lowerBound, depth))
    pack(&work)
  }
}

extension ActivationRows {
  /// The form in which products with `weights` read the rows rounded; nil where they read them in their own type.
  fileprivate func roundedForm(for weights: LinearWeights) -> CodeForm? {
    roundsToCodes ? weights.kernelWeights.codes?.form : nil
  }
}

extension KernelWeights {
  /// From so many rows on a copy of the weights costs less than reading them as they lie, measured. Codes that do not meet
  /// rounded activations are widened.
  fileprivate func leastPackedRows(_ kernels: UnsafePointer<fovea_kernels>) -> Int {
    if codes != nil || elementByteCount == 4 { return 16 }
    return inputSize >= 1024 ? kernels.pointee.least_packed_rows_long : kernels.pointee.least_packed_rows
  }
}

/// Where the blocks of the groups lie that are packed, one after another.
private struct PackedGroups {
  /// Of each group its first byte; nil if it is not packed.
  private(set) var offsets: [Int?] = []
  /// The rows of each block.
  private(set) var blocks: [Range<Int>] = []
  let blockByteCount: Int

  init(_ groups: [Range<Int>], leastRows: Int, depth: Int) {
    blockByteCount = fovea_packed_rows_byte_count(PreparedProduct.rowsPerBlock, depth)
    for group in groups {
      guard group.count >= leastRows else {
        offsets.append(nil)
        continue
      }
      offsets.append(byteCount)
      for first in stride(from: group.lowerBound, to: group.upperBound, by: PreparedProduct.rowsPerBlock) {
        blocks.append(first..<min(group.upperBound, first + PreparedProduct.rowsPerBlock))
      }
    }
  }

  var byteCount: Int { blocks.count * blockByteCount }
}

extension fovea_kernels {
  fileprivate func rowPacking(_ type: ElementType) -> fovea_row_pack_kernel? {
    switch type {
    case .float32: pack_rows.0
    case .bfloat16: pack_rows.2
    default: nil
    }
  }
}
