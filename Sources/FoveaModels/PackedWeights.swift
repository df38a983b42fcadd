internal import CFoveaKernels
internal import FoveaCore

/// Matrices with the same input, one below another, as the packed product kernel reads them: a float32 copy.
///
/// Encoders work on many rows at once, and there the packed kernel comes within a few percent of the multiply-add peak;
/// the kernel that reads rows as they are stored gets about 80 %. Weights of 16 bits are widened once, here.
struct PackedWeights: Sendable {
  let outputSize: Int
  let inputSize: Int
  /// `[outputSize]` float32, or nil.
  let bias: Tensor?
  /// One part of the depth after another, in each the panels of all columns; from `offset` elements on.
  private let storage: TensorStorage
  private let offset: Int
  /// `outputSize`, rounded up to whole panels.
  private let paddedSize: Int

  /// A panel of so many columns and steps takes 96 KiB: it stays in the second-level cache while the rows go by.
  static let columnsPerPiece = 64
  static let stepsPerPart = 384

  /// The elements that the copy of `linears` takes.
  static func elementCount(_ linears: [LinearWeights]) -> Int {
    paddedSize(linears.reduce(0) { $0 + $1.outputSize }) * (linears.first?.inputSize ?? 0)
  }

  private static func paddedSize(_ outputSize: Int) -> Int {
    (outputSize + columnsPerPiece - 1) / columnsPerPiece * columnsPerPiece
  }

  /// Packs `linears`, of which either all or none have a bias, into `storage` from `offset` elements on; with the
  /// threads of `stream`, inside an operation.
  init(_ linears: [LinearWeights], storage: TensorStorage, offset: Int, on stream: ComputeStream) {
    let outputSize = linears.reduce(0) { $0 + $1.outputSize }
    let inputSize = linears.first?.inputSize ?? 0
    let paddedSize = Self.paddedSize(outputSize)
    self.outputSize = outputSize
    self.inputSize = inputSize
    self.paddedSize = paddedSize
    self.storage = storage
    self.offset = offset
    let biases = linears.compactMap { $0.bias?.floats() }
    bias = biases.count == linears.count ? Tensor(biases.flatMap { $0 }, shape: [outputSize]) : nil

    let kernels = stream.kernelTable
    let target = storage.baseAddress.assumingMemoryBound(to: Float.self) + offset
    let partCount = Self.partCount(ofDepth: inputSize)
    let pieceCount = paddedSize / Self.columnsPerPiece
    stream.forEachPiece(pieceCount * partCount) { piece, _ in
      let columns = Self.columns(piece % pieceCount, of: outputSize)
      let steps = Self.steps(piece / pieceCount, of: inputSize)
      let packed = target + steps.lowerBound * paddedSize + columns.lowerBound * steps.count
      var first = 0
      for linear in linears {
        let rows = columns.clamped(to: first..<first + linear.outputSize)
        defer { first += linear.outputSize }
        guard !rows.isEmpty else { continue }
        let type = linear.matrix.tensor.elementType
        let offset = (rows.lowerBound - first) * inputSize + steps.lowerBound
        var work = fovea_pack(
          rows: UnsafeRawPointer(linear.matrix.tensor.baseAddress + offset * type.byteCount), stride: inputSize,
          element: type.kernelElement, count: rows.count, dimension: steps.count,
          first: rows.lowerBound - columns.lowerBound, packed: UnsafeMutableRawPointer(packed))
        _ = kernels.pointee.pack_keys.0?(&work)
      }
    }
  }

  var pieceCount: Int { paddedSize / Self.columnsPerPiece }
  var partCount: Int { Self.partCount(ofDepth: inputSize) }

  static func columns(_ piece: Int, of outputSize: Int) -> Range<Int> {
    piece * columnsPerPiece..<min(outputSize, (piece + 1) * columnsPerPiece)
  }

  static func steps(_ part: Int, of inputSize: Int) -> Range<Int> {
    part * stepsPerPart..<min(inputSize, (part + 1) * stepsPerPart)
  }

  private static func partCount(ofDepth inputSize: Int) -> Int { (inputSize + stepsPerPart - 1) / stepsPerPart }

  /// outputs = activations · weightsᵀ + bias for one piece of columns; `outputs` starts at the first of rows and columns.
  func multiply(
    _ kernels: UnsafePointer<fovea_kernels>, _ activations: ActivationRows, piece: Int,
    outputs: UnsafeMutablePointer<Float>, outputStride: Int
  ) {
    for part in 0..<partCount {
      multiply(
        kernels, activations.floats() + part * Self.stepsPerPart, stride: activations.stride,
        rowCount: activations.count, part: part, piece: piece, outputs: outputs, outputStride: outputStride)
    }
  }

  /// What one part of the depth adds to one piece of columns: the first part begins the sums, the last adds the bias.
  /// `activations` starts at the part's first step.
  func multiply(
    _ kernels: UnsafePointer<fovea_kernels>, _ activations: UnsafePointer<Float>, stride: Int, rowCount: Int,
    part: Int, piece: Int, outputs: UnsafeMutablePointer<Float>, outputStride: Int
  ) {
    let columns = Self.columns(piece, of: outputSize)
    let steps = Self.steps(part, of: inputSize)
    let source = storage.baseAddress.assumingMemoryBound(to: Float.self) + offset
    let packed = source + steps.lowerBound * paddedSize + columns.lowerBound * steps.count
    let isLast = part == partCount - 1
    var work = fovea_packed_linear(
      activations: activations, activation_stride: stride, packed: packed,
      bias: isLast
        ? bias.map { UnsafePointer($0.baseAddress.assumingMemoryBound(to: Float.self)) + columns.lowerBound } : nil,
      outputs: outputs, output_stride: outputStride, row_count: rowCount, column_count: columns.count,
      depth: steps.count, continues: part > 0,
      next: piece + 1 < pieceCount ? packed + Self.columnsPerPiece * steps.count : nil)
    kernels.pointee.packed_linear(&work)
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
    let rowCount = activations.count
    let step = rowsPerPiece(rowCount: rowCount, pieceCount: weights.pieceCount)
    let pieceCount = weights.pieceCount
    forEachPiece((rowCount + step - 1) / step * pieceCount) { piece, _ in
      let first = piece / pieceCount * step
      weights.multiply(
        kernels, activations.rows(first..<min(rowCount, first + step)), piece: piece % pieceCount,
        outputs: outputs.floats(first) + piece % pieceCount * PackedWeights.columnsPerPiece,
        outputStride: outputs.stride)
    }
  }

  /// outputs = function(activations · weightsᵀ + bias), as one phase; `outputs` are float32.
  func multiplyActivated(
    _ activations: ActivationRows, _ weights: PackedWeights, activation: Activation, into outputs: ActivationRows
  ) {
    let kernels = self.kernelTable
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
        kernels, activations.rows(rows), piece: piece % pieceCount, outputs: sums, outputStride: columns.count)
      for (index, row) in rows.enumerated() {
        activation.apply(
          kernels, gate: sums + index * columns.count, up: nil,
          outputs: outputs.row(row) + columns.lowerBound * outputs.type.byteCount,
          outputElement: outputs.type.kernelElement, count: columns.count)
      }
    }
  }
}
