internal import CFoveaKernels
internal import FoveaCore

/// A norm of rows: of root mean square, or with a bias of mean and variance.
///
/// A class with the addresses of its vectors, so that a token, which has dozens of norms of a fraction of a microsecond,
/// counts one reference for each.
final class Norm: Sendable {
  /// `[dimension]` float32: widened once at load, since it is read every row and is small. Where the family's norm
  /// multiplies by 1 + weight, the 1 is added here.
  let weight: Tensor
  /// `[dimension]` float32, of a LayerNorm only.
  let bias: Tensor?
  let epsilon: Float
  private let dimension: Int
  private nonisolated(unsafe) let weightValues: UnsafePointer<Float>
  private nonisolated(unsafe) let biasValues: UnsafePointer<Float>?

  init(weight: Tensor, bias: Tensor?, epsilon: Float) {
    self.weight = weight
    self.bias = bias
    self.epsilon = epsilon
    dimension = weight.shape[0]
    weightValues = UnsafePointer(weight.baseAddress.assumingMemoryBound(to: Float.self))
    biasValues = bias.map { UnsafePointer($0.baseAddress.assumingMemoryBound(to: Float.self)) }
  }

  var vectors: [Tensor] { [weight] + (bias.map { [$0] } ?? []) }

  /// outputs = norm(inputs), row by row, converted to the type of `outputs`.
  func apply(_ inputs: ActivationRows, into outputs: ActivationRows, on stream: ComputeStream) {
    let kernels = stream.kernelTable
    inputs.fetchFew()
    stream.forEachRange(inputs.count, grain: 16) { rows in
      apply(
        kernels, inputs.floats(rows.lowerBound), inputStride: inputs.stride, outputs: outputs.row(rows.lowerBound),
        outputElement: outputs.type.kernelElement, outputStride: outputs.stride, rowCount: rows.count)
    }
  }

  /// Asks for the norm's vectors, which a token's weights have pushed out of the caches since the token before.
  func fetch() {
    fovea_fetch(weightValues, dimension * MemoryLayout<Float>.stride)
    if let biasValues { fovea_fetch(biasValues, dimension * MemoryLayout<Float>.stride) }
  }

  /// Norms the parts of the norm's dimension that `width` values have, in their place.
  func applyInPlace(_ kernels: UnsafePointer<fovea_kernels>, _ rows: UnsafeMutablePointer<Float>, width: Int) {
    apply(
      kernels, rows, inputStride: dimension, outputs: rows, outputElement: FOVEA_FLOAT32, outputStride: dimension,
      rowCount: width / dimension)
  }

  private func apply(
    _ kernels: UnsafePointer<fovea_kernels>, _ inputs: UnsafePointer<Float>, inputStride: Int,
    outputs: UnsafeMutableRawPointer, outputElement: fovea_element, outputStride: Int, rowCount: Int
  ) {
    guard let biasValues else {
      var work = fovea_rms_norm(
        inputs: inputs, input_stride: inputStride, weight: weightValues, epsilon: epsilon, outputs: outputs,
        output_stride: outputStride, output_element: outputElement, row_count: rowCount, dimension: dimension)
      kernels.pointee.rms_norm(&work)
      return
    }
    var work = fovea_layer_norm(
      inputs: inputs, input_stride: inputStride, weight: weightValues, bias: biasValues, epsilon: epsilon,
      outputs: outputs, output_stride: outputStride, output_element: outputElement, row_count: rowCount,
      dimension: dimension)
    kernels.pointee.layer_norm(&work)
  }
}
