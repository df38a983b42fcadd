internal import CFoveaKernels
internal import FoveaCore

/// The weights of one decoder layer. All matrices are views of the checkpoint.
struct DecoderLayer: Sendable {
  let attentionNorm: Norm
  let queryProjection: LinearWeights
  let keyProjection: LinearWeights
  let valueProjection: LinearWeights
  let outputProjection: LinearWeights
  let feedForwardNorm: Norm
  let gateProjection: LinearWeights
  let upProjection: LinearWeights
  let downProjection: LinearWeights

  var linears: [LinearWeights] {
    [
      queryProjection, keyProjection, valueProjection, outputProjection, gateProjection, upProjection, downProjection,
    ]
  }
}

/// A root-mean-square norm.
struct Norm: Sendable {
  /// `[hiddenSize]` float32: widened once at load, since it is read every row and is small.
  let weight: Tensor
  let epsilon: Float

  /// outputs = norm(inputs), row by row, converted to the type of `outputs`.
  func apply(_ inputs: ActivationRows, into outputs: ActivationRows, on stream: ComputeStream) {
    let kernels = stream.kernels
    stream.forEachRange(inputs.count, grain: 16) { rows in
      var work = fovea_rms_norm(
        inputs: inputs.floats(rows.lowerBound), input_stride: inputs.stride,
        weight: weight.baseAddress.assumingMemoryBound(to: Float.self), epsilon: epsilon,
        outputs: outputs.row(rows.lowerBound), output_stride: outputs.stride,
        output_element: outputs.type.kernelElement, row_count: rows.count, dimension: weight.shape[0])
      kernels.rms_norm(&work)
    }
  }
}
