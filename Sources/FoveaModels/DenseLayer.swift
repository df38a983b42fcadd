internal import CFoveaKernels
package import FoveaCore
internal import FoveaSafetensors

/// A matrix and a bias of a file of their own, as what follows pooling in an embedding model has them.
package struct DenseLayer: Sendable {
  private let weights: LinearWeights

  package var inputSize: Int { weights.inputSize }
  package var outputSize: Int { weights.outputSize }

  /// Takes `linear.weight` `[outputSize, inputSize]` and, if there is one, `linear.bias` of the folder's
  /// model.safetensors.
  ///
  /// - Throws: `SafetensorsError` naming a tensor that is missing or has another shape or type.
  package init(folder: String, inputSize: Int, outputSize: Int, hasBias: Bool) throws {
    weights = try WeightSource(checkpoint: Checkpoint.open(folder: folder))
      .linear("linear", outputSize, inputSize, hasBias: hasBias)
  }

  /// outputs = inputs · weightᵀ + bias for float32 rows `[rowCount, inputSize]` to `[rowCount, outputSize]`, both
  /// contiguous; inside an operation of `stream`. A row's bits do not depend on the others.
  package func apply(
    _ inputs: UnsafeMutablePointer<Float>, rowCount: Int, into outputs: UnsafeMutablePointer<Float>,
    on stream: ComputeStream
  ) {
    let rows = ActivationRows(
      base: UnsafeMutableRawPointer(inputs), type: .float32, stride: inputSize, count: rowCount)
    stream.multiply(rows, LinearProduct(weights: weights, outputs: outputs, outputStride: outputSize))
  }
}
