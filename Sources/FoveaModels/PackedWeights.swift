internal import CFoveaKernels
internal import FoveaCore

/// Matrices with the same input, one below another, as the packed product kernels read them: a copy in float32 or rounded.
///
/// Encoders work on many rows at once, and there the packed kernel comes within a few percent of the multiply-add peak;
/// the kernel that reads rows as they are stored gets about 80 %. Weights of 16 bits are widened once, here.
struct PackedWeights: Sendable {
  let form: PackedForm
  let outputSize: Int
  let inputSize: Int
  /// `[outputSize]` float32, or nil.
  let bias: Tensor?
  /// One part of the depth after another, in each the panels of all columns; from `offset` on, in 4 bytes.
  private let storage: TensorStorage
  private let offset: Int
  /// `outputSize`, rounded up to whole panels.
  private let paddedSize: Int

  /// A panel of so many columns and steps takes 96 KiB in float32: it stays in the second-level cache while the rows go by.
  static let columnsPerPiece = 64
  /// Whole groups of 16-bit integers.
  static let stepsPerPart = 384

  /// What the copy of `linears` takes, in 4 bytes.
  static func size(_ linears: [LinearWeights], form: PackedForm) -> Int {
    paddedSize(linears.reduce(0) { $0 + $1.outputSize }) * form.rowSize(linears.first?.inputSize ?? 0)
  }

  private static func paddedSize(_ outputSize: Int) -> Int {
    (outputSize + columnsPerPiece - 1) / columnsPerPiece * columnsPerPiece
  }

  /// Packs `linears`, of which either all or none have a bias, into `storage` from `offset` on, in 4 bytes; with the
  /// threads of `stream`, inside an operation.
  init(_ linears: [LinearWeights], form: PackedForm, storage: TensorStorage, offset: Int, on stream: ComputeStream) {
    self.form = form
    outputSize = linears.reduce(0) { $0 + $1.outputSize }
    inputSize = linears.first?.inputSize ?? 0
    paddedSize = Self.paddedSize(outputSize)
    self.storage = storage
    self.offset = offset
    let biases = linears.compactMap { $0.bias?.floats() }
    bias = biases.count == linears.count ? Tensor(biases.flatMap { $0 }, shape: [outputSize]) : nil

    let kernels = stream.kernelTable
    // What one row goes through where it is rounded.
    let rowScratch = (Self.stepsPerPart + form.rowSize(Self.stepsPerPart)) * MemoryLayout<Float>.stride
    stream.forEachPiece(pieceCount * partCount, scratchByteCount: rowScratch) { piece, scratch in
      let (piece, part) = (piece % pieceCount, piece / pieceCount)
      let columns = Self.columns(piece, of: outputSize)
      var first = 0
      for linear in linears {
        let rows = columns.clamped(to: first..<first + linear.outputSize)
        defer { first += linear.outputSize }
        guard !rows.isEmpty else { continue }
        pack(
          linear.matrix.tensor, rows: rows.lowerBound - first..<rows.upperBound - first,
          steps: Self.steps(part, of: inputSize),
          kernels, to: packed(piece: piece, part: part), column: rows.lowerBound - columns.lowerBound, scratch: scratch)
      }
    }
  }

  /// Packs some rows and steps of `matrix` as columns of one piece from `column` on.
  private func pack(
    _ matrix: Tensor, rows: Range<Int>, steps: Range<Int>, _ kernels: UnsafePointer<fovea_kernels>,
    to packed: UnsafeMutablePointer<Float>, column: Int, scratch: UnsafeMutableRawPointer
  ) {
    let type = matrix.elementType
    func address(_ row: Int) -> UnsafeRawPointer {
      UnsafeRawPointer(matrix.baseAddress + (row * inputSize + steps.lowerBound) * type.byteCount)
    }
    switch form {
    case .float32:
      var work = fovea_pack(
        rows: address(rows.lowerBound), stride: inputSize, element: type.kernelElement, count: rows.count,
        dimension: steps.count, first: column, packed: UnsafeMutableRawPointer(packed))
      _ = kernels.pointee.pack_keys.0?(&work)
    case .int16:
      let rounded = scratch + Self.stepsPerPart * MemoryLayout<Float>.stride
      for (index, row) in rows.enumerated() {
        kernels.pointee.convert(address(row), type.kernelElement, scratch, FOVEA_FLOAT32, steps.count)
        form.round(
          kernels, ActivationRows(base: scratch, type: .float32, stride: steps.count, count: 1), depth: steps.count,
          into: rounded)
        var work = fovea_int16_pack(
          rows: rounded, row_stride: 0, count: 1, depth: steps.count, first: column + index, packed: packed)
        kernels.pointee.pack_int16(&work)
      }
    }
  }

  var pieceCount: Int { paddedSize / Self.columnsPerPiece }
  var partCount: Int { (inputSize + Self.stepsPerPart - 1) / Self.stepsPerPart }

  static func columns(_ piece: Int, of outputSize: Int) -> Range<Int> {
    piece * columnsPerPiece..<min(outputSize, (piece + 1) * columnsPerPiece)
  }

  static func steps(_ part: Int, of inputSize: Int) -> Range<Int> {
    part * stepsPerPart..<min(inputSize, (part + 1) * stepsPerPart)
  }

  /// The memory of one piece of columns and part of the depth.
  private func packed(piece: Int, part: Int) -> UnsafeMutablePointer<Float> {
    let steps = Self.steps(part, of: inputSize)
    return storage.baseAddress.assumingMemoryBound(to: Float.self) + offset
      + form.rowSize(steps.lowerBound) * paddedSize + piece * Self.columnsPerPiece * form.rowSize(steps.count)
  }

  /// outputs = activations · weightsᵀ + bias for one piece of columns; `outputs` starts at the first of rows and columns.
  func multiply(
    _ kernels: UnsafePointer<fovea_kernels>, _ inputs: PackedInputs, piece: Int, outputs: UnsafeMutablePointer<Float>,
    outputStride: Int
  ) {
    for part in 0..<partCount {
      multiply(
        kernels, inputs.from(depth: part * Self.stepsPerPart), part: part, piece: piece, outputs: outputs,
        outputStride: outputStride)
    }
  }

  /// What one part of the depth adds to one piece of columns: the first part begins the sums, the last adds the bias.
  /// `inputs` start at the part's first step.
  func multiply(
    _ kernels: UnsafePointer<fovea_kernels>, _ inputs: PackedInputs, part: Int, piece: Int,
    outputs: UnsafeMutablePointer<Float>, outputStride: Int
  ) {
    let columns = Self.columns(piece, of: outputSize)
    let isLast = part == partCount - 1
    var work = fovea_packed_linear(
      activations: inputs.base, activation_stride: inputs.stride, activation_scales: inputs.scales,
      packed: packed(piece: piece, part: part),
      bias: isLast
        ? bias.map { UnsafePointer($0.baseAddress.assumingMemoryBound(to: Float.self)) + columns.lowerBound } : nil,
      outputs: outputs, output_stride: outputStride, row_count: inputs.count, column_count: columns.count,
      depth: Self.steps(part, of: inputSize).count, continues: part > 0,
      next: piece + 1 < pieceCount ? UnsafeRawPointer(packed(piece: piece + 1, part: part)) : nil)
    switch form {
    case .float32: kernels.pointee.packed_linear(&work)
    case .int16: kernels.pointee.packed_linear_int16(&work)
    }
  }
}

extension ComputeStream {
  /// Rows of one piece: so many that weights are fetched seldom, so few that every thread has several pieces.
  private func rowsPerPiece(rowCount: Int, pieceCount: Int) -> Int {
    let wanted = max(1, 8 * threadCount / max(1, pieceCount))
    // A multiple of the kernels' tile.
    return max(96, (rowCount / wanted + 11) / 12 * 12)
  }

  /// outputs = activations · weightsᵀ + bias, as one phase.
  func multiply(_ activations: ActivationRows, _ weights: PackedWeights, into outputs: ActivationRows) {
    let kernels = self.kernelTable
    let inputs = prepare(activations, for: weights)
    let rowCount = activations.count
    let step = rowsPerPiece(rowCount: rowCount, pieceCount: weights.pieceCount)
    let pieceCount = weights.pieceCount
    forEachPiece((rowCount + step - 1) / step * pieceCount) { piece, _ in
      let first = piece / pieceCount * step
      weights.multiply(
        kernels, inputs.rows(first..<min(rowCount, first + step)), piece: piece % pieceCount,
        outputs: outputs.floats(first) + piece % pieceCount * PackedWeights.columnsPerPiece,
        outputStride: outputs.stride)
    }
  }

  /// outputs = function(activations · weightsᵀ + bias), as one phase; `outputs` are float32.
  func multiplyActivated(
    _ activations: ActivationRows, _ weights: PackedWeights, activation: Activation, into outputs: ActivationRows
  ) {
    let kernels = self.kernelTable
    let inputs = prepare(activations, for: weights)
    let rowCount = activations.count
    let pieceCount = weights.pieceCount
    let width = PackedWeights.columnsPerPiece
    // The products of a piece stay in the second-level cache until the function is through with them, and its weights
    // while the rows go by; 96 rows were 3 % slower.
    let step = min(192, rowCount)
    guard step > 0 else { return }
    forEachPiece(
      (rowCount + step - 1) / step * pieceCount, scratchByteCount: step * width * MemoryLayout<Float>.stride
    ) { piece, scratch in
      let sums = scratch.assumingMemoryBound(to: Float.self)
      let first = piece / pieceCount * step
      let rows = first..<min(rowCount, first + step)
      let columns = PackedWeights.columns(piece % pieceCount, of: weights.outputSize)
      weights.multiply(
        kernels, inputs.rows(rows), piece: piece % pieceCount, outputs: sums, outputStride: columns.count)
      for (index, row) in rows.enumerated() {
        activation.apply(
          kernels, gate: sums + index * columns.count, up: nil,
          outputs: outputs.row(row) + columns.lowerBound * outputs.type.byteCount,
          outputElement: outputs.type.kernelElement, count: columns.count)
      }
    }
  }
}
