internal import CFoveaKernels
internal import FoveaCore

/// The function between the matrices of a feed-forward block.
public enum Activation: Sendable, Equatable {
  /// x · sigmoid(x).
  case silu
  /// x · Φ(x) with the normal distribution's Φ.
  case gelu
  /// GELU by its tanh approximation.
  case geluTanh
  /// With gate g = min(gate, limit) and u = up clamped to ±limit: g · sigmoid(gain · g) · (u + 1) (gpt-oss).
  case clampedSwish(gain: Float, limit: Float)

  /// The activation that transformers calls `name`.
  init?(transformersName name: String) {
    switch name {
    case "silu", "swish": self = .silu
    case "gelu", "gelu_python": self = .gelu
    case "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_new": self = .geluTanh
    default: return nil
    }
  }

  /// outputs[i] = function(gate[i]) · up[i] for `count` elements, converted to `outputElement`; without `up` the
  /// function alone.
  func apply(
    _ kernels: UnsafePointer<fovea_kernels>, gate: UnsafePointer<Float>, up: UnsafePointer<Float>?,
    outputs: UnsafeMutableRawPointer, outputElement: fovea_element, count: Int
  ) {
    var work = fovea_activation(
      kind: FOVEA_SILU, gate: gate, up: up, gain: 1, limit: 0, outputs: outputs, output_element: outputElement,
      count: count)
    switch self {
    case .silu: work.kind = FOVEA_SILU
    case .gelu: work.kind = FOVEA_GELU
    case .geluTanh: work.kind = FOVEA_GELU_TANH
    case .clampedSwish(let gain, let limit):
      work.kind = FOVEA_CLAMPED_SWISH
      work.gain = gain
      work.limit = limit
    }
    kernels.pointee.activate(&work)
  }
}
