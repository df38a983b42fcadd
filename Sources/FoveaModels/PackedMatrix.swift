internal import CFoveaKernels
internal import FoveaCore

/// What products read of ``PackedWeights``: addresses only, so that pieces count no references. Valid while those are.
struct PackedMatrix {
  let form: PackedForm
  let outputSize: Int
  let inputSize: Int
  /// `outputSize`, rounded up to whole panels.
  let paddedSize: Int
  /// One part of the depth after another, in each the panels of all columns.
  let base: UnsafeMutablePointer<Float>
  /// `[outputSize]`, or nil.
  let bias: UnsafePointer<Float>?

  /// A panel of so many columns and steps takes 96 KiB in float32: it stays in the second-level cache while the rows go by.
  static let columnsPerPiece = 64
  /// Whole groups of 16-bit integers.
  static let stepsPerPart = 384

  static func paddedSize(_ outputSize: Int) -> Int {
    (outputSize + columnsPerPiece - 1) / columnsPerPiece * columnsPerPiece
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
  func packed(piece: Int, part: Int) -> UnsafeMutablePointer<Float> {
    let steps = Self.steps(part, of: inputSize)
    return base + form.rowSize(steps.lowerBound) * paddedSize
      + piece * Self.columnsPerPiece * form.rowSize(steps.count)
  }

  /// outputs = activations · weightsᵀ + bias for one piece of columns; `outputs` starts at the first of rows and columns.
  func multiply(
    _ kernels: UnsafePointer<fovea_kernels>, _ inputs: PackedInputs, piece: Int, outputs: UnsafeMutablePointer<Float>,
    outputStride: Int
  ) {
    multiply(
      kernels, inputs, columns: Self.columns(piece, of: outputSize), outputs: outputs, outputStride: outputStride)
  }

  /// The same for a run of columns, of which the first begins a piece. Weights are read in the order in which they lie.
  ///
  /// - Parameter accumulates: whether the products are added to what `outputs` hold.
  func multiply(
    _ kernels: UnsafePointer<fovea_kernels>, _ inputs: PackedInputs, columns: Range<Int>,
    outputs: UnsafeMutablePointer<Float>, outputStride: Int, accumulates: Bool = false
  ) {
    for part in 0..<partCount {
      let inputs = inputs.from(depth: part * Self.stepsPerPart)
      for first in stride(from: columns.lowerBound, to: columns.upperBound, by: Self.columnsPerPiece) {
        multiply(
          kernels, inputs, part: part, columns: first..<min(columns.upperBound, first + Self.columnsPerPiece),
          outputs: outputs + first - columns.lowerBound, outputStride: outputStride, continues: accumulates || part > 0)
      }
    }
  }

  /// What one part of the depth adds to one piece of columns: the first part begins the sums, the last adds the bias.
  /// `inputs` start at the part's first step.
  func multiply(
    _ kernels: UnsafePointer<fovea_kernels>, _ inputs: PackedInputs, part: Int, piece: Int,
    outputs: UnsafeMutablePointer<Float>, outputStride: Int
  ) {
    multiply(
      kernels, inputs, part: part, columns: Self.columns(piece, of: outputSize), outputs: outputs,
      outputStride: outputStride, continues: part > 0)
  }

  /// The same for columns of one piece, from its first on.
  private func multiply(
    _ kernels: UnsafePointer<fovea_kernels>, _ inputs: PackedInputs, part: Int, columns: Range<Int>,
    outputs: UnsafeMutablePointer<Float>, outputStride: Int, continues: Bool
  ) {
    let piece = columns.lowerBound / Self.columnsPerPiece
    var work = fovea_packed_linear(
      activations: inputs.base, activation_stride: inputs.stride, activation_scales: inputs.scales,
      packed: packed(piece: piece, part: part),
      bias: part == partCount - 1 ? bias.map { $0 + columns.lowerBound } : nil, outputs: outputs,
      output_stride: outputStride, row_count: inputs.count, column_count: columns.count,
      depth: Self.steps(part, of: inputSize).count, continues: continues,
      next: piece + 1 < pieceCount ? UnsafeRawPointer(packed(piece: piece + 1, part: part)) : nil)
    switch form {
    case .float32: kernels.pointee.packed_linear(&work)
    case .int16: kernels.pointee.packed_linear_int16(&work)
    }
  }
}
