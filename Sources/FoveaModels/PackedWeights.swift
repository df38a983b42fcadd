internal import CFoveaKernels
internal import FoveaCore

/// Matrices with the same input, one below another, as the packed product kernels read them: a copy in float32 or rounded.
///
/// Encoders work on many rows at once, and there the packed kernel comes within a few percent of the multiply-add peak; the
/// kernel that reads rows as they are stored gets about 80 %. Weights of 16 bits are widened once, here. Decoders have
/// rounded copies, of one matrix each.
struct PackedWeights: Sendable {
  /// `[outputSize]` float32, or nil.
  private let bias: Tensor?
  private let storage: TensorStorage
  /// Addresses in the two above, which never change.
  nonisolated(unsafe) let matrix: PackedMatrix

  /// All that the copy consists of, as float32 whatever it is.
  var tensor: Tensor {
    let elementCount = matrix.paddedSize * matrix.form.rowSize(matrix.inputSize)
    let byteOffset = UnsafeRawPointer(matrix.base) - UnsafeRawPointer(storage.baseAddress)
    return Tensor(storage: storage, byteOffset: byteOffset, elementType: .float32, shape: [elementCount])
  }

  /// What the copy of `linears` takes, in 4 bytes.
  static func size(_ linears: [LinearWeights], form: PackedForm) -> Int {
    PackedMatrix.paddedSize(linears.reduce(0) { $0 + $1.outputSize }) * form.rowSize(linears.first?.inputSize ?? 0)
  }

  /// Packs `linears`, of which either all or none have a bias, into `storage` from `offset` on, in 4 bytes; with the
  /// threads of `stream`, inside an operation.
  init(_ linears: [LinearWeights], form: PackedForm, storage: TensorStorage, offset: Int, on stream: ComputeStream) {
    let outputSize = linears.reduce(0) { $0 + $1.outputSize }
    let biases = linears.compactMap { $0.bias?.floats() }
    let bias = biases.count == linears.count ? Tensor(biases.flatMap { $0 }, shape: [outputSize]) : nil
    let matrix = PackedMatrix(
      form: form, outputSize: outputSize, inputSize: linears.first?.inputSize ?? 0,
      paddedSize: PackedMatrix.paddedSize(outputSize),
      base: storage.baseAddress.assumingMemoryBound(to: Float.self) + offset,
      bias: bias.map { UnsafePointer($0.baseAddress.assumingMemoryBound(to: Float.self)) })
    self.bias = bias
    self.storage = storage
    self.matrix = matrix

    let kernels = stream.kernelTable
    // What one row goes through where it is rounded.
    let rowScratch =
      (PackedMatrix.stepsPerPart + form.rowSize(PackedMatrix.stepsPerPart)) * MemoryLayout<Float>.stride
    stream.forEachPiece(matrix.pieceCount * matrix.partCount, scratchByteCount: rowScratch) { piece, scratch in
      let (piece, part) = (piece % matrix.pieceCount, piece / matrix.pieceCount)
      let columns = PackedMatrix.columns(piece, of: outputSize)
      var first = 0
      for linear in linears {
        let rows = columns.clamped(to: first..<first + linear.outputSize)
        defer { first += linear.outputSize }
        guard !rows.isEmpty else { continue }
        matrix.pack(
          linear.matrix.tensor, rows: rows.lowerBound - first..<rows.upperBound - first, part: part, kernels,
          to: matrix.packed(piece: piece, part: part), column: rows.lowerBound - columns.lowerBound, scratch: scratch)
      }
    }
  }
}

extension PackedMatrix {
  /// Packs a part of some rows of `matrix` as columns of one piece from `column` on.
  fileprivate func pack(
    _ matrix: Tensor, rows: Range<Int>, part: Int, _ kernels: UnsafePointer<fovea_kernels>,
    to packed: UnsafeMutablePointer<Float>, column: Int, scratch: UnsafeMutableRawPointer
  ) {
    let steps = Self.steps(part, of: inputSize)
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
}

extension ComputeStream {
  /// Rows of one piece: so many that weights are fetched seldom, so few that every thread has several pieces.
  private func rowsPerPiece(rowCount: Int, pieceCount: Int) -> Int {
    let wanted = max(1, 8 * threadCount / max(1, pieceCount))
    // A multiple of the kernels' tile.
    return max(96, (rowCount / wanted + 11) / 12 * 12)
  }

  /// outputs = activations · weightsᵀ + bias, as one phase.
  func multiply(_ activations: ActivationRows, _ weights: PackedMatrix, into outputs: ActivationRows) {
    let kernels = self.kernelTable
    let inputs = prepare(activations, for: weights)
    let rowCount = activations.count
    let step = rowsPerPiece(rowCount: rowCount, pieceCount: weights.pieceCount)
    let pieceCount = weights.pieceCount
    forEachPiece((rowCount + step - 1) / step * pieceCount) { piece, _ in
      let first = piece / pieceCount * step
      weights.multiply(
        kernels, inputs.rows(first..<min(rowCount, first + step)), piece: piece % pieceCount,
        outputs: outputs.floats(first) + piece % pieceCount * PackedMatrix.columnsPerPiece,
        outputStride: outputs.stride)
    }
  }

  /// outputs = function(activations · weightsᵀ + bias), as one phase; `outputs` are float32.
  func multiplyActivated(
    _ activations: ActivationRows, _ weights: PackedMatrix, activation: Activation, into outputs: ActivationRows
  ) {
    let kernels = self.kernelTable
    let inputs = prepare(activations, for: weights)
    let rowCount = activations.count
    let pieceCount = weights.pieceCount
    let width = PackedMatrix.columnsPerPiece
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
      let columns = PackedMatrix.columns(piece % pieceCount, of: weights.outputSize)
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
