internal import FoveaCore
internal import FoveaSafetensors

/// Takes tensors out of a checkpoint in the types that the kernels read.
struct WeightSource {
  let checkpoint: Checkpoint
  /// What config.json says of quantised weights, if anything.
  var quantization: QuantizationConfiguration? = nil
  /// What happens to matrices; nil leaves them as stored.
  var conversion: MatrixConversion? = nil
  /// Makes the copies that products read instead of matrices, if they do.
  var packing: WeightPacking? = nil
  static let readableTypes: [ElementType] = [.float32, .float16, .bfloat16]

  /// The same without ``packing``.
  var withoutCopies: WeightSource {
    var source = self
    source.packing = nil
    return source
  }

  /// The matrix `NAME.weight` as stored: with scales beside it, quantised.
  func matrix(_ name: String, _ shape: [Int]) throws -> WeightMatrix {
    if let quantization, checkpoint.contains(name + ".scales") {
      return try quantizedMatrices(name, count: nil, shape, scheme: quantization.scheme(of: name))[0]
    }
    return WeightMatrix(tensor: try matrixTensor(name + ".weight", shape), codes: nil)
  }

  /// The elements of one or several matrices as products read them.
  func matrixTensor(_ name: String, _ shape: [Int]) throws -> Tensor {
    let stored = try tensor(name, shape)
    return conversion?.converted(stored) ?? stored
  }

  func tensor(_ name: String, _ shape: [Int]) throws -> Tensor {
    try checkpoint.tensor(name, shape: shape, elementTypes: Self.readableTypes)
  }

  /// A vector widened to float32: small, and read once a row.
  func vector(_ name: String, size: Int) throws -> Tensor {
    let stored = try checkpoint.tensor(name, shape: [size], elementTypes: Self.readableTypes)
    return Tensor(stored.floats(), shape: [size])
  }

  /// A matrix `NAME.weight` with its bias `NAME.bias`.
  func linear(_ name: String, _ outputSize: Int, _ inputSize: Int, hasBias: Bool) throws -> LinearWeights {
    linear(try matrix(name, [outputSize, inputSize]), bias: try bias(name, size: outputSize, isThere: hasBias))
  }

  /// A matrix with its bias and the copy that products read, if they read one.
  func linear(_ matrix: WeightMatrix, bias: Tensor? = nil) -> LinearWeights {
    LinearWeights(matrix: matrix, bias: bias, packed: packing?.packed(matrix, bias: bias))
  }

  private func bias(_ name: String, size: Int, isThere: Bool) throws -> Tensor? {
    isThere ? try vector(name + ".bias", size: size) : nil
  }

  /// The matrices that lie one below another in `NAME.weight`, in order, with their parts of `NAME.bias`: views of one
  /// tensor.
  func fusedLinears(_ name: String, _ outputSizes: [Int], _ inputSize: Int, hasBias: Bool) throws -> [LinearWeights] {
    let outputSize = outputSizes.reduce(0, +)
    let whole = try matrix(name, [outputSize, inputSize])
    let bias = try bias(name, size: outputSize, isThere: hasBias)
    var first = 0
    return outputSizes.map { size in
      defer { first += size }
      return linear(whole.rows(first..<first + size), bias: bias?.sliced(axis: 0, first..<first + size))
    }
  }

  /// A norm `NAME.weight`, for a LayerNorm with `NAME.bias`.
  func norm(_ name: String, size: Int, kind: NormKind, epsilon: Float) throws -> Norm {
    var weight = try vector(name + ".weight", size: size)
    if kind == .shiftedRootMeanSquare { weight = Tensor(weight.floats().map { 1 + $0 }, shape: [size]) }
    return Norm(weight: weight, bias: kind == .layer ? try vector(name + ".bias", size: size) : nil, epsilon: epsilon)
  }
}
