internal import FoveaCore
internal import FoveaModels

/// What follows the pooling of an embedding model.
enum EmbeddingModule: Sendable {
  /// activation(linear(x)).
  case dense(DenseLayer, DenseActivation)
  /// x over its length.
  case normalize

  /// The width of what it gives for `width` values.
  func outputSize(_ width: Int) -> Int {
    switch self {
    case .dense(let layer, _): layer.outputSize
    case .normalize: width
    }
  }
}

/// The function after a dense layer, by the name of its PyTorch class.
enum DenseActivation: String, Sendable, CaseIterable {
  case identity = "Identity"
  case tanh = "Tanh"
  case gelu = "GELU"
  case relu = "ReLU"
  case sigmoid = "Sigmoid"
  case silu = "SiLU"

  func apply(_ values: UnsafeMutableBufferPointer<Float>) {
    guard self != .identity else { return }
    for index in values.indices { values[index] = value(of: values[index]) }
  }

  private func value(of x: Float) -> Float {
    let wide = Double(x)
    return switch self {
    case .identity: x
    case .tanh: Float(hyperbolicTangent(wide))
    case .gelu: Float(wide * 0.5 * complementaryError(-wide / 2.0.squareRoot()))
    case .relu: x > 0 || x.isNaN ? x : 0
    case .sigmoid: Float(1 / (1 + exponential(-wide)))
    case .silu: Float(wide / (1 + exponential(-wide)))
    }
  }
}

/// Divides `values` by their Euclidean length, or by 1e-12 where that is smaller, as PyTorch does.
func normalize(_ values: UnsafeMutableBufferPointer<Float>) {
  var sum = 0.0
  for value in values { sum += Double(value) * Double(value) }
  let length = Float(max(sum.squareRoot(), 1e-12))
  for index in values.indices { values[index] /= length }
}
