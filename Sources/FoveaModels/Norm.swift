internal import CFoveaKernels
internal import FoveaCore

/// A norm of rows: of root mean square, or with a bias of mean and variance.
struct Norm: Sendable {
  /// `[dimension]` float32: widened once at load, since it is read every row and is small. Where the family's norm
  /// multiplies by 1 + weight, the 1 is added here.
  let weight: Tensor
  /// `[dimension]` float32, of a LayerNorm only.
  let bias: Tensor?
  let epsilon: Float

  var vectors: [Tensor] { [weight] + (bias.map { [$0] } ?? []) }

  /// outputs = norm(inputs), row by row, converted to the type of `outputs`.
  func apply(_ inputs: ActivationRows, into outputs: ActivationRows, on stream: ComputeStream) {
    let kernels = stream.kernels
    stream.forEachRange(inputs.count, grain: 16) { rows in
      apply(
        kernels, inputs.floats(rows.lowerBound), inputStride: inputs.stride, outputs: outputs.row(rows.lowerBound),
        outputElement: outputs.type.kernelElement, outputStride: outputs.stride, rowCount: rows.count)
    }
  }

  /// Norms the parts of the norm's dimension that `width` values have, in their place.
  func applyInPlace(_ kernels: fovea_kernels, _ rows: UnsafeMutablePointer<Float>, width: Int) {
    let dimension = weight.shape[0]
    let rowCount = width / dimension
    apply(
      kernels, rows, inputStride: dimension, outputs: rows, outputElement: FOVEA_FLOAT32, outputStride: dimension,
      rowCount: rowCount)
  }

  private func apply(
    _ kernels: fovea_kernels, _ inputs: UnsafePointer<Float>, inputStride: Int, outputs: UnsafeMutableRawPointer,
    outputElement: fovea_element, outputStride: Int, rowCount: Int
  ) {
    let weights = weight.baseAddress.assumingMemoryBound(to: Float.self)
    guard let bias else {
      var work = fovea_rms_norm(
        inputs: inputs, input_stride: inputStride, weight: weights, epsilon: epsilon, outputs: outputs,
        output_stride: outputStride, output_element: outputElement, row_count: rowCount, dimension: weight.shape[0])
      kernels.rms_norm(&work)
      return
    }
    var work = fovea_layer_norm(
      inputs: inputs, input_stride: inputStride, weight: weights,
      bias: bias.baseAddress.assumingMemoryBound(to: Float.self), epsilon: epsilon, outputs: outputs,
      output_stride: outputStride, output_element: outputElement, row_count: rowCount, dimension: weight.shape[0])
    kernels.layer_norm(&work)
  }
}
